//! Orders under one signature, between those who send them and the sequencer.

use std::sync::Arc;

use xos_api::{ApiError, Placed, TreeOrder, TreeOutcome, TreeRequest};
use xos_auth::{Domain, parse_signature};
use xos_types::{Address, Command, Instructions, Order, Reject, SignedTree, UnfitTree};

use crate::door::client;
use crate::receipt::{Effect, Head, Outcome, RefusedOrder, TreeDone};
use crate::refusal::{Signing, invalid, rejected};
use crate::rpc::{Rpc, Withheld, no_answer, pay_for_signatures};
use crate::signatures::Unverified;

/// What became of a tree.
pub(crate) struct TreeAnswer {
    pub(crate) sequence: u64,
    pub(crate) head: Arc<Head>,
    /// What each order did, in order.
    pub(crate) orders: Vec<Result<Effect, ApiError>>,
}

/// A request's tree, that is still to be verified.
pub(crate) fn claimed(domain: &Domain, request: &TreeRequest) -> Result<Unverified, ApiError> {
    let TreeRequest { account, ref orders, ref replaces, self_trade, crossing, ref signature } = *request;
    if replaces.len() > orders.len() {
        let most = format!("a list of up to {}, as there are orders", orders.len());
        return Err(invalid("replaces", format!("a list of {}", replaces.len()), most));
    }
    let signature = parse_signature(signature);
    let orders: Vec<Order> = orders.iter().map(|order: &TreeOrder| order.of(account)).collect();
    let tree = SignedTree::new(orders, signature.as_ref().copied().unwrap_or_default(), Address::ZERO);
    let tree = tree.map_err(|unfit| match unfit {
        UnfitTree::Size { got } => {
            invalid("orders", format!("a list of {got}"), format!("a list of 1 to {}", SignedTree::MOST))
        }
        UnfitTree::Accounts { got, expected, .. } => invalid("account", got, expected),
    })?;
    let instructions = Instructions { self_trade, crossing };
    Ok(Unverified::tree(domain, tree, signature, replaces.as_slice().into(), instructions))
}

/// What became of one order, in the client's words.
pub(crate) fn outcome(order: Result<Effect, ApiError>) -> TreeOutcome {
    match order {
        Ok(Effect { filled, remaining, fills }) => TreeOutcome::Ok(Placed { filled, remaining, fills }),
        Err(error) => TreeOutcome::Error(error),
    }
}

impl Rpc {
    /// Checks a tree's signature, and sends it if it is one: what became of each of its orders, or why nothing did.
    pub(crate) async fn execute_tree(&self, unverified: Unverified) -> Result<TreeAnswer, ApiError> {
        let unverified = vec![unverified];
        pay_for_signatures(&unverified)?;
        let verified =
            self.signatures.check(unverified).await.inspect_err(|refused| self.vitals.metrics.refused(refused))?;
        let command = match self.within_budgets(verified).pop() {
            Some(Ok(command)) => command,
            Some(Err(withheld)) => {
                client::is_now_known(false);
                return Err(match withheld {
                    Withheld::Malformed(malformed) => self.explain(*malformed).await,
                    Withheld::Short(short) => short.into(),
                });
            }
            None => return Err(no_answer()),
        };
        let Some(outcome) = self.submit(vec![command.clone()]).await?.pop() else { return Err(no_answer()) };
        client::is_now_known(self.charge(&command, &outcome));
        match outcome {
            Outcome::Tree(done) => {
                self.signatures.acted(command.signer().into_iter());
                Ok(self.judge_tree(&command, done))
            }
            outcome => Err(self.judge(&command, outcome).err().unwrap_or_else(no_answer)),
        }
    }

    fn judge_tree(&self, command: &Command, done: TreeDone) -> TreeAnswer {
        let rejected_orders = done.orders.iter().filter(|order| order.is_err()).count();
        self.vitals.metrics.answered_tree(done.orders.len() - rejected_orders, rejected_orders);
        let TreeDone { sequence, head, orders } = done;
        let explain = |refused: Box<RefusedOrder>| {
            let RefusedOrder { reject, terms, .. } = *refused;
            let asks_who = matches!(reject, Reject::NotAuthorized { .. });
            let signing = asks_who.then(|| Signing::of_command(&self.domain, command)).flatten();
            rejected(&reject, signing.as_ref(), terms, self.decimals)
        };
        TreeAnswer { sequence, head, orders: orders.into_iter().map(|order| order.map_err(explain)).collect() }
    }
}
