//! What the log says of single commands, at debug level: by account and nonce, which name an order everywhere.

use xos_types::{Command, Nonce};

use crate::receipt::{Done, Outcome, TreeDone};

/// Writes down what became of a command.
pub(crate) fn answered(command: &Command, outcome: &Outcome) {
    let (Some((account, _)), Some(nonce)) = (command.signer(), nonce(command)) else { return };
    let (account, nonce) = (account.0, nonce.0);
    match outcome {
        Outcome::Done(Done { sequence, effect, .. }) => {
            let (filled, remaining) = (effect.filled.0, effect.remaining.0);
            tracing::debug!(account, nonce, sequence, filled, remaining, "command done");
        }
        Outcome::Tree(TreeDone { sequence, orders, .. }) => {
            let refused = orders.iter().filter(|order| order.is_err()).count();
            tracing::debug!(account, nonce, sequence, orders = orders.len(), refused, "tree placed");
        }
        Outcome::Rejected { reject, .. } => tracing::debug!(account, nonce, reason = %reject, "command rejected"),
    }
}

fn nonce(command: &Command) -> Option<Nonce> {
    Some(match command {
        Command::Place { order, .. }
        | Command::Replace { order, .. }
        | Command::Plan { order, .. }
        | Command::Replan { order, .. } => order.message.nonce,
        Command::PlaceTree { tree, .. } => tree.orders()[0].nonce,
        Command::Cancel(signed) => signed.message.nonce,
        Command::Amend(signed) => signed.message.nonce,
        Command::CancelAll(signed) => signed.message.below,
        Command::CancelMany(signed) => signed.message.nonce,
        Command::CancelAfter(signed) => signed.message.nonce,
        Command::Withdraw(signed) => signed.message.nonce,
        Command::Transfer(signed) => signed.message.nonce,
        Command::Liquidate(signed) => signed.message.nonce,
        Command::Convert(signed) => signed.message.nonce,
        Command::InSession { act, .. } => act.nonce(),
        Command::Window { .. } | Command::Frame { .. } => return None,
    })
}
