//! `sdocker build`: one image for several architectures.

use sdocker::{
    Home,
    build::{ImageBuild, ImageName, Platform},
};
use sdocker_console::{Interrupt, Printer, Progress, Work, shown};

/// Build an image for several architectures, each on a host of its own.
///
/// Runs `docker build` on one of your hosts per architecture, pushes the images as NAME:TAG-amd64 and NAME:TAG-arm64, and then the manifest list
/// NAME:TAG, from which every machine pulls its own. The Docker CLI must be logged in to the registry (`docker login`, `sdocker ecr-login`).
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The image's name in its registry.
    #[arg(short, long, value_name = "REGISTRY/NAME:TAG")]
    tag: ImageName,
    /// The platforms. There must be a host for each.
    #[arg(long, value_name = "PLATFORMS", value_delimiter = ',', default_value = "linux/amd64,linux/arm64")]
    platform: Vec<Platform>,
    /// The Dockerfile, if it is not PATH/Dockerfile.
    #[arg(short, long, value_name = "FILE")]
    file: Option<String>,
    /// Set a build argument. Can be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    build_arg: Vec<String>,
    /// The stage to build.
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Do not use cached layers.
    #[arg(long)]
    no_cache: bool,
    /// Build with a buildx builder named sdocker-hosts instead, which runs BuildKit from this image in a container on each host.
    ///
    /// For example moby/buildkit:buildx-stable-1. The hosts must be able to pull it.
    #[arg(long, value_name = "IMAGE")]
    buildkit_image: Option<String>,
    /// The folder or URL to build from.
    #[arg(value_name = "PATH")]
    path: String,
    /// Further options for `docker build`.
    #[arg(last = true, value_name = "DOCKER_OPTION")]
    docker_options: Vec<String>,
}

impl Args {
    fn image(&self) -> ImageBuild {
        let mut options = Vec::new();
        let mut add = |option: &str, value: &String| options.extend([option.to_owned(), value.clone()]);
        self.file.iter().for_each(|file| add("--file", file));
        self.build_arg.iter().for_each(|argument| add("--build-arg", argument));
        self.target.iter().for_each(|target| add("--target", target));
        options.extend(self.no_cache.then(|| "--no-cache".to_owned()));
        options.extend(self.docker_options.iter().cloned());
        ImageBuild {
            name: self.tag.clone(),
            platforms: self.platform.clone(),
            context: self.path.clone(),
            options,
            buildkit_image: self.buildkit_image.clone(),
        }
    }
}

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer, interrupt: &Interrupt) -> anyhow::Result<()> {
    let _working = interrupt.begin(Work {
        stopping: "the build is being stopped".to_owned(),
        leaves: "what was built and pushed by then".to_owned(),
        hosts: Vec::new(),
    })?;
    let built = home.build_image(&args.image(), &Progress::new(printer), interrupt.stop()).await?;
    printer.result(&built, || shown::built_image(&built))
}
