//! One line for people: what was wrong, what was expected, what to do.

use jsonrpsee::core::ClientError;
use xos_api::Code;
use xos_chain::ChainError;
use xos_journal::JournalError;
use xos_node::NodeError;
use xos_node::audit::AuditError;
use xos_node::config::ConfigError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Refused(String),
    #[error("the node at {url} does not answer ({reason}); is it running? `xos node` starts one, --rpc names another")]
    Away { url: String, reason: String },
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("cannot write to standard output: {0}")]
    Write(std::io::Error),
    #[error("no answer could be written: {0}")]
    Output(#[from] serde_json::Error),
}

impl CliError {
    pub(crate) fn usage(problem: impl Into<String>) -> Self {
        Self::Usage(problem.into())
    }

    /// What came back from the node, or why nothing did.
    pub(crate) fn from_node(url: &str, error: &ClientError) -> Self {
        match error {
            ClientError::Call(error) => {
                let name = Code::from_number(error.code()).and_then(|code| serde_json::to_value(code).ok());
                let name = name.as_ref().and_then(|name| name.as_str()).unwrap_or("refused");
                Self::Refused(format!("{name} ({}): {}", error.code(), error.message()))
            }
            other => Self::Away { url: url.into(), reason: other.to_string() },
        }
    }
}
