//! Prints the Studio app that this is run in, and the domain around it, as JSON.
//!
//!     cargo run -p studio-discovery --example environment [METADATA_ROOT]

use std::{env, path::PathBuf};

use studio_discovery::{
    LocalFacts, LocalSources,
    aws::{SageMakerApi, http_client},
    discover,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let facts = LocalFacts::read(&LocalSources {
        metadata_root: env::args_os().nth(1).map_or("/".into(), PathBuf::from),
        home: env::home_dir().ok_or("no home")?,
        region: None,
        aws_region: env::var("AWS_REGION").ok(),
        region_name: env::var("REGION_NAME").ok(),
    })?;
    let region = aws_config::Region::new(facts.region().as_str().to_owned());
    let config = aws_config::from_env().http_client(http_client()).region(region).load().await;
    let discovery = discover(&facts, &SageMakerApi::new(&config)).await?;
    serde_json::to_writer_pretty(std::io::stdout().lock(), &discovery.environment)?;
    Ok(())
}
