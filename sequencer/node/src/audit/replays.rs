//! What the journal says: replayed twice, once for what happened in it and once for the state that the chain has settled.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use xos_api::StateHash;
use xos_auth::{Domain, Tree, recover};
use xos_chain::{Deployment, batch_hash};
use xos_engine::Engine;
use xos_types::{
    AccountId, Address, B256, Command, Event, EventId, MarketId, Precedence, Session, Signed, WindowOrder,
};

use super::{AuditError, Check};

pub(super) struct FirstReplay {
    pub(super) sequence: u64,
    log_hash: B256,
    pub(super) state_hash: B256,
    /// Every sealed frame as a batch: its hash, and where it ends in the log.
    pub(super) batches: BTreeMap<u64, BatchEnd>,
    /// Who ever traded in which event.
    pub(super) traded: BTreeMap<AccountId, Vec<EventId>>,
    pub(super) windows: Windows,
    pub(super) trees: Trees,
    pub(super) logins: Logins,
    /// How often an account's position in a perpetual changed.
    pub(super) perpetual_changes: u64,
}

/// Whether every ingress window executed makers first.
#[derive(Default)]
pub(super) struct Windows {
    /// How many there were.
    count: u64,
    /// The latest turn so far in the window, once there is one.
    turn: Option<Precedence>,
    order: WindowOrder,
    /// The first command that came after one with a later turn.
    out_of_turn: Option<u64>,
}

impl Windows {
    fn see(&mut self, sequence: u64, command: &Command) {
        if let Command::Window { .. } = command {
            self.count += 1;
            (self.turn, self.order) = (None, WindowOrder::default());
        }
        let Some(turn) = self.order.next(command) else { return };
        if self.turn.is_some_and(|latest| turn < latest) {
            self.out_of_turn.get_or_insert(sequence);
        }
        self.turn = self.turn.max(Some(turn));
    }
}

/// Whether whoever a tree's orders are placed for has signed it.
#[derive(Default)]
pub(super) struct Trees {
    /// How many there were, and their orders.
    count: u64,
    orders: u64,
    /// The first command whose signature is not its signer's.
    forged: Option<u64>,
}

impl Trees {
    fn see(&mut self, sequence: u64, command: &Command, domain: &Domain) {
        let Command::PlaceTree { tree, .. } = command else { return };
        self.count += 1;
        self.orders += tree.orders().len() as u64;
        let mut built = Tree::default();
        let signer =
            built.build(domain, tree.orders()).and_then(|()| recover(domain.digest(&built.message()), &tree.signature));
        if signer.ok() != Some(tree.signer) {
            self.forged.get_or_insert(sequence);
        }
    }
}

/// Whether those whom the log names have signed every login whose session did something.
#[derive(Default)]
pub(super) struct Logins {
    /// Digest, signature and signer of those that are right.
    right: BTreeSet<(B256, [u8; 32], [u8; 32], Address)>,
    /// Commands of sessions.
    commands: u64,
    /// The first command whose login somebody else signed.
    forged: Option<u64>,
}

impl Logins {
    fn see(&mut self, sequence: u64, login: &Signed<Session>, domain: &Domain) {
        self.commands += 1;
        let Signed { message, signature, signer } = login;
        let digest = domain.digest(message);
        let key = (digest, signature.r, signature.vs, *signer);
        if self.right.contains(&key) {
            return;
        }
        if recover(digest, signature) == Ok(*signer) {
            self.right.insert(key);
        } else {
            self.forged.get_or_insert(sequence);
        }
    }
}

pub(super) struct BatchEnd {
    pub(super) hash: B256,
    pub(super) sequence: u64,
    pub(super) log_hash: B256,
}

pub(super) struct SecondReplay {
    log_hash: B256,
    state_hash: B256,
    /// Log and state hash where the node said that it stood.
    at_node: Option<(B256, B256)>,
    /// The state that the last settled batch leaves, but for its fees, which become cash when the next frame opens.
    pub(super) at_settled: Engine,
}

pub(super) fn replay_once(journal: &Path, deployment: &Deployment) -> Result<FirstReplay, AuditError> {
    let replay = xos_journal::read_only(journal, 1)?;
    let config = replay.group();
    if config.group != deployment.group {
        return Err(AuditError::OtherGroup { journal: config.group, deployment: deployment.group });
    }
    let mut engine = Engine::new(config);
    let (mut batches, mut traded) = (BTreeMap::new(), BTreeMap::<AccountId, Vec<EventId>>::new());
    let (mut windows, mut logins, mut trees) = (Windows::default(), Logins::default(), Trees::default());
    let mut perpetual_changes = 0;
    let (mut parent, domain) = (B256::ZERO, deployment.domain());
    let mut events = Vec::new();
    for command in replay {
        let (_, command) = command?;
        engine.apply(&command, &mut events);
        windows.see(engine.sequence(), command.command());
        trees.see(engine.sequence(), command.command(), &domain);
        if let Command::InSession { login, .. } = command.command() {
            logins.see(engine.sequence(), login, &domain);
        }
        for event in events.drain(..) {
            perpetual_changes += changes_of_perpetuals(&engine, &event);
            match event {
                Event::FrameSealed(frame) => {
                    parent = batch_hash(&frame, parent, &domain, &deployment.attribution);
                    let log_hash = B256::from(frame.log_hash);
                    batches.insert(frame.id, BatchEnd { hash: parent, sequence: frame.sequence, log_hash });
                }
                Event::Filled(fill) => note_trade(&mut traded, [fill.maker, fill.taker], fill.market),
                Event::AuctionFilled(fill) => {
                    note_trade(&mut traded, [fill.buyer.account, fill.seller.account], fill.market);
                }
                _ => {}
            }
        }
    }
    Ok(FirstReplay {
        sequence: engine.sequence(),
        log_hash: B256::from(engine.log_hash()),
        state_hash: B256::from(engine.state_hash()),
        batches,
        traded,
        windows,
        trees,
        logins,
        perpetual_changes,
    })
}

/// How many accounts' positions in a perpetual the event changed.
fn changes_of_perpetuals(engine: &Engine, event: &Event) -> u64 {
    let of_fill = |market: MarketId| if engine.event(market.event()).is_none() { 2 } else { 0 };
    match event {
        Event::Filled(fill) => of_fill(fill.market),
        Event::AuctionFilled(fill) => of_fill(fill.market),
        Event::Liquidated { .. } | Event::TakenOver { .. } => 2,
        Event::Deleveraged { others, .. } => 1 + others.len() as u64,
        Event::Closed { .. } => 1,
        _ => 0,
    }
}

fn note_trade(traded: &mut BTreeMap<AccountId, Vec<EventId>>, parties: [AccountId; 2], market: MarketId) {
    for account in parties {
        let events = traded.entry(account).or_default();
        if let Err(position) = events.binary_search(&market.event()) {
            events.insert(position, market.event());
        }
    }
}

pub(super) fn replay_again(
    journal: &Path,
    last: u64,
    settled: u64,
    node: Option<u64>,
) -> Result<SecondReplay, AuditError> {
    let replay = xos_journal::read_only(journal, 1)?;
    let config = replay.group();
    let (mut engine, mut at_settled) = (Engine::new(config), Engine::new(config));
    let mut at_node = None;
    let mut events = Vec::new();
    for command in replay {
        let (sequence, command) = command?;
        if sequence > last {
            break;
        }
        engine.apply(&command, &mut events);
        if sequence <= settled {
            at_settled.apply(&command, &mut events);
        }
        events.clear();
        if Some(sequence) == node {
            at_node = Some((B256::from(engine.log_hash()), B256::from(engine.state_hash())));
        }
    }
    Ok(SecondReplay {
        log_hash: B256::from(engine.log_hash()),
        state_hash: B256::from(engine.state_hash()),
        at_node,
        at_settled,
    })
}

pub(super) fn check_replays(first: &FirstReplay, second: &SecondReplay) -> Check {
    let passed = (first.log_hash, first.state_hash) == (second.log_hash, second.state_hash);
    let detail = if passed {
        format!("{} commands, state {}", first.sequence, first.state_hash)
    } else {
        format!("state {} and then {}", first.state_hash, second.state_hash)
    };
    Check { rule: "the journal replays to the same state".into(), passed, detail }
}

pub(super) fn check_windows(windows: &Windows) -> Check {
    let detail = match windows.out_of_turn {
        None => format!("{} windows", windows.count),
        Some(sequence) => format!("command {sequence} came after one whose turn was later"),
    };
    Check { rule: "every window executed makers first".into(), passed: windows.out_of_turn.is_none(), detail }
}

pub(super) fn check_trees(trees: &Trees) -> Check {
    let detail = match trees.forged {
        None => format!("{} trees of {} orders", trees.count, trees.orders),
        Some(sequence) => format!("command {sequence} is a tree that somebody else signed"),
    };
    Check { rule: "every tree is signed by its signer".into(), passed: trees.forged.is_none(), detail }
}

pub(super) fn check_logins(logins: &Logins) -> Check {
    let detail = match logins.forged {
        None => format!("{} commands by {} logins", logins.commands, logins.right.len()),
        Some(sequence) => format!("command {sequence} has a login that its signer did not sign"),
    };
    Check { rule: "every session was opened by its signer".into(), passed: logins.forged.is_none(), detail }
}

pub(super) fn check_node(node: &StateHash, second: &SecondReplay) -> Check {
    let rule = "the node's state is that of its journal".into();
    let (passed, detail) = match second.at_node {
        None => (false, format!("the node stands at command {}, which the journal does not have", node.sequence)),
        Some((log_hash, state_hash)) if (log_hash, state_hash) == (node.log_hash, node.state_hash) => {
            (true, format!("at command {}", node.sequence))
        }
        Some((_, state_hash)) => {
            (false, format!("at command {}: node {}, journal {state_hash}", node.sequence, node.state_hash))
        }
    };
    Check { rule, passed, detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cancel, order};
    use xos_types::OrderKind::{GoodTillCancelled, PostOnly};
    use xos_types::TimeMs;

    #[test]
    fn a_command_that_was_let_in_before_its_turn_is_seen_and_named() {
        let window = || Command::Window { time: TimeMs(0) };
        let (taker, quote) = (|| order(1, GoodTillCancelled), || order(2, PostOnly));
        let seen = |log: &[Command]| {
            let mut windows = Windows::default();
            (1..).zip(log).for_each(|(sequence, command)| windows.see(sequence, command));
            (windows.count, windows.out_of_turn)
        };
        assert_eq!(seen(&[window(), cancel(3), quote(), taker(), window(), cancel(4), quote()]), (2, None));
        assert_eq!(seen(&[window(), taker(), quote(), cancel(3)]), (1, Some(3)));
        assert_eq!(seen(&[window(), quote(), taker(), window(), quote(), cancel(3)]), (2, Some(6)));
        assert_eq!(seen(&[window(), taker(), cancel(1)]), (1, None), "it takes away what came in the same window");
        assert_eq!(seen(&[window(), taker(), window(), quote(), cancel(1)]), (2, Some(5)), "or in another");
    }
}
