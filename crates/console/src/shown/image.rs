//! An image for several architectures.

use sdocker::build::BuiltImage;

/// The image, and what it is for.
pub fn built_image(built: &BuiltImage) -> String {
    let platforms: Vec<String> = built.parts.iter().map(|part| part.platform.to_string()).collect();
    format!("{}@{} is for {}", built.name, built.digest, platforms.join(" and "))
}
