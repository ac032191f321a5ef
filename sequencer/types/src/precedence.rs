//! What goes first of the commands that arrive in one ingress window.

use std::collections::BTreeMap;

use crate::command::Command;
use crate::order::{Order, OrderKind};
use crate::session::Act;
use crate::units::{AccountId, Nonce};

/// Makers before takers, and a tree goes with its slowest order: a quote can be withdrawn before it is hit. What has the same precedence goes in order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precedence {
    /// Whatever takes orders away.
    Cancel,
    /// Orders that only make.
    PostOnly,
    /// Everything else.
    Rest,
}

impl Precedence {
    /// That of a command by itself. A frame and a window's beginning have none: they stand between others.
    #[must_use]
    pub fn of(command: &Command) -> Option<Self> {
        match command {
            Command::Cancel(_)
            | Command::Amend(_)
            | Command::CancelAll(_)
            | Command::CancelMany(_)
            | Command::CancelAfter(_)
            | Command::InSession { .. } => Some(Self::Cancel),
            Command::Place { order, .. }
            | Command::Replace { order, .. }
            | Command::Plan { order, .. }
            | Command::Replan { order, .. }
                if order.message.kind == OrderKind::PostOnly =>
            {
                Some(Self::PostOnly)
            }
            Command::PlaceTree { tree, .. } if tree.orders().iter().all(|order| order.kind == OrderKind::PostOnly) => {
                Some(Self::PostOnly)
            }
            Command::Place { .. }
            | Command::PlaceTree { .. }
            | Command::Replace { .. }
            | Command::Plan { .. }
            | Command::Replan { .. }
            | Command::Withdraw(_)
            | Command::Transfer(_)
            | Command::Liquidate(_)
            | Command::Convert(_) => Some(Self::Rest),
            Command::Window { .. } | Command::Frame { .. } => None,
        }
    }
}

/// The commands of one window so far. One that takes away an order which came earlier in the same window does not overtake it:
/// it goes when that order went, and so right behind. Otherwise who places and cancels in one breath would keep the order.
#[derive(Clone, Debug, Default)]
pub struct WindowOrder {
    orders: BTreeMap<(AccountId, Nonce), Precedence>,
    /// The last to go of an account's orders.
    last: BTreeMap<AccountId, Precedence>,
}

impl WindowOrder {
    /// The precedence of the window's next command.
    pub fn next(&mut self, command: &Command) -> Option<Precedence> {
        let order = |account, nonce| self.orders.get(&(account, nonce)).copied();
        let taken = match command {
            Command::Cancel(signed) => order(signed.message.account, signed.message.nonce),
            Command::Amend(signed) => order(signed.message.account, signed.message.nonce),
            Command::Replace { nonce, order: by, .. } | Command::Replan { nonce, order: by, .. } => {
                order(by.message.account, *nonce)
            }
            Command::PlaceTree { tree, replaces, .. } => {
                replaces.iter().filter_map(|nonce| order(tree.account(), *nonce)).max()
            }
            Command::CancelAll(signed) => self.last.get(&signed.message.account).copied(),
            Command::CancelMany(signed) => self.last.get(&signed.message.account).copied(),
            Command::InSession { login, act } => match act {
                Act::Cancel { nonce } => order(login.message.account, *nonce),
                Act::CancelAll { .. } | Act::CancelMany { .. } => self.last.get(&login.message.account).copied(),
                Act::CancelAfter { .. } => None,
            },
            _ => None,
        };
        let turn = Precedence::of(command)?.max(taken.unwrap_or(Precedence::Cancel));
        let arriving = match command {
            Command::Place { order, .. }
            | Command::Replace { order, .. }
            | Command::Plan { order, .. }
            | Command::Replan { order, .. } => std::slice::from_ref(&order.message),
            Command::PlaceTree { tree, .. } => tree.orders(),
            _ => return Some(turn),
        };
        self.orders.extend(arriving.iter().map(|order| ((order.account, order.nonce), turn)));
        if let Some(Order { account, .. }) = arriving.first() {
            let last = self.last.entry(*account).or_insert(turn);
            *last = turn.max(*last);
        }
        Some(turn)
    }
}
