//! temporary
use clap::Parser;
#[derive(Parser)]
enum Cli {
    Node {
        #[arg(long)]
        config: std::path::PathBuf,
    },
    Demo(xos_worldcup::demo::Options),
}
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Cli::parse() {
        Cli::Node { config } => {
            tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::INFO).init();
            let config = xos_node::config::Settings::read(&config)?.check()?;
            let node = xos_node::Node::start(config).await?;
            let stop = async {
                let _ = tokio::signal::ctrl_c().await;
            };
            node.run(stop).await?;
        }
        Cli::Demo(options) => {
            let s = xos_worldcup::demo::run(options).await?;
            if !s.passed() {
                std::process::exit(1);
            }
        }
    }
    Ok(())
}
