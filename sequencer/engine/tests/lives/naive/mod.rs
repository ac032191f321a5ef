//! The same exchange in the most obvious way: one list of orders, sorted when asked; margin recomputed from the textbook;
//! fees and frames summed from scratch. Slow, and too simple to be wrong in the same way as the engine.
//!
//! It reads like DESIGN.md: `margin` is its section 5, `checks` and `matching` are section 6, `frame` opens and seals, `feeds`
//! has prices and funding, `watch` says what becomes of accounts that prices
//! have hurt, and `rescue` is its section 8.

mod auction;
mod book;
mod checks;
mod departures;
mod exits;
mod feeds;
mod fees;
mod forced;
mod frame;
mod inbox;
mod keepers;
mod listings;
mod losses;
mod margin;
mod matching;
mod plans;
mod reducing;
mod rescue;
mod tiers;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use xos_engine::limits::{MATCHES_MAX, ORDERS_MAX, POSITION_MAX, SIZE_MAX};
use xos_types::*;

pub(crate) use book::Resting;
pub(crate) use feeds::{Feed, Kept};
use frame::entered;
pub(crate) use listings::Listing;

const MILLION: i128 = 1_000_000;
/// Index prices and funding indices are atoms per lot times this.
const SCALE: i128 = 1_000_000_000;

#[derive(Clone, Debug)]
pub(crate) struct Naive {
    config: GroupConfig,
    terms: GroupTerms,
    pub(crate) accounts: BTreeMap<AccountId, Account>,
    pub(crate) listings: BTreeMap<EventId, Listing>,
    pub(crate) feeds: BTreeMap<FeedId, Feed>,
    /// Where each market last traded.
    last_trades: BTreeMap<MarketId, u64>,
    venues: BTreeMap<VenueId, VenueConfig>,
    /// Of venues that have any, and what was traded there meanwhile.
    pub(crate) tiers: BTreeMap<VenueId, Vec<FeeTier>>,
    traded: Vec<tiers::Traded>,
    pub(crate) builders: BTreeMap<BuilderId, AccountId>,
    pub(crate) orders: Vec<Resting>,
    /// An order that is about to be replaced: what it was for is still there.
    leaving: Option<Order>,
    queue: BTreeSet<(EventId, AccountId)>,
    arrivals: u64,
    commands: u64,
    /// All that ever came.
    trees: BTreeMap<TreeId, SignedTree>,
    pub(crate) switches: BTreeMap<AccountId, u64>,
    pub(crate) waiting: Vec<plans::Waiting>,
    pairs: Vec<plans::Pair>,
    openings: u64,
    open: frame::Open,
    frames: u64,
    /// When accounts that fail were last flagged.
    pub(crate) flags: BTreeMap<AccountId, u64>,
    pub(crate) forced: BTreeMap<(AccountId, MarketId), rescue::ForcedClose>,
    requests: Vec<keepers::Request>,
    /// Who has taken something in the frame that opens, and whose positions changed hands.
    busy: BTreeSet<AccountId>,
    moved: BTreeSet<(MarketId, AccountId)>,
    pool: losses::Pool,
}

#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) owner: Address,
    pub(crate) cash: i128,
    pub(crate) floor: u64,
    referrer: BuilderId,
    used: BTreeSet<u64>,
    /// Signed lots of outcomes and perpetuals.
    pub(crate) positions: BTreeMap<MarketId, i128>,
    /// Of each perpetual that it holds, the funding index up to which it has paid.
    pub(crate) paid_up_to: BTreeMap<MarketId, i128>,
    /// Lots and average entry price of each perpetual when the last frame was sealed.
    entries: BTreeMap<MarketId, (i128, i128)>,
    /// Atoms of assets.
    pub(crate) balances: BTreeMap<FeedId, i128>,
    /// What was paid in of each token, less what was taken out.
    pub(crate) principal: BTreeMap<FeedId, i128>,
    /// Bankrupt: nothing is signed for it any more.
    closed: bool,
    /// Whether its fills are judged one by one, and what it was before.
    watched: Option<watch::Before>,
}

/// `⌊a / b⌋`.
fn floor(a: i128, b: i128) -> i128 {
    a.div_euclid(b)
}

/// `⌈a / b⌉`.
fn ceil(a: i128, b: i128) -> i128 {
    -(-a).div_euclid(b)
}

fn sign(side: Side) -> i128 {
    if side == Side::Buy { 1 } else { -1 }
}

impl Account {
    fn new(owner: Address) -> Self {
        Self {
            owner,
            cash: 0,
            floor: 0,
            referrer: BuilderId(0),
            used: BTreeSet::new(),
            positions: BTreeMap::new(),
            paid_up_to: BTreeMap::new(),
            entries: BTreeMap::new(),
            balances: BTreeMap::new(),
            principal: BTreeMap::new(),
            closed: false,
            watched: None,
        }
    }

    pub(crate) fn lots(&self, market: MarketId) -> i128 {
        self.positions.get(&market).copied().unwrap_or(0)
    }

    pub(crate) fn balance(&self, asset: FeedId) -> i128 {
        self.balances.get(&asset).copied().unwrap_or(0)
    }
}

impl Naive {
    pub(crate) fn new(config: GroupConfig) -> Self {
        Self {
            config,
            terms: config.terms,
            accounts: [AccountId::INSURANCE, AccountId::PROTOCOL]
                .map(|account| (account, Account::new(config.governance)))
                .into(),
            listings: BTreeMap::new(),
            feeds: BTreeMap::new(),
            last_trades: BTreeMap::new(),
            venues: BTreeMap::new(),
            tiers: BTreeMap::new(),
            traded: vec![],
            builders: BTreeMap::new(),
            orders: vec![],
            leaving: None,
            queue: BTreeSet::new(),
            arrivals: 0,
            commands: 0,
            trees: BTreeMap::new(),
            switches: BTreeMap::new(),
            waiting: vec![],
            pairs: vec![],
            openings: 0,
            open: frame::Open::default(),
            frames: 0,
            flags: BTreeMap::new(),
            forced: BTreeMap::new(),
            requests: vec![],
            busy: BTreeSet::new(),
            moved: BTreeSet::new(),
            pool: losses::Pool::default(),
        }
    }

    /// `log_hash` is the engine's before the command; everything else is derived here.
    pub(crate) fn apply(&mut self, command: &Command, log_hash: Hash) -> Vec<Event> {
        let mut out = vec![];
        match command {
            Command::Place { order, instructions } => self.place(order, *instructions, &mut out),
            Command::PlaceTree { tree, replaces, instructions } => {
                let number = TreeId(self.commands + 1);
                self.trees.insert(number, tree.clone());
                for (index, message) in tree.orders().iter().enumerate() {
                    let order =
                        Signed { message: *message, signature: Signature::of_tree(number), signer: tree.signer };
                    match replaces.get(index) {
                        Some(old) => self.replace(*old, &order, *instructions, &mut out),
                        None => self.place(&order, *instructions, &mut out),
                    }
                }
            }
            Command::Plan { order, instructions, plan } => self.plan(order, *instructions, *plan, &mut out),
            Command::Replan { nonce, order, instructions, trigger, pace } => {
                self.replan(*nonce, order, *instructions, Some((*trigger, *pace)), &mut out);
            }
            Command::Replace { nonce: old, order, instructions } => self.replace(*old, order, *instructions, &mut out),
            Command::Amend(signed) => {
                let Amend { account, nonce, size } = signed.message;
                let (current, remaining) = self.lots(account, nonce).unwrap_or((0, 0));
                let refusal =
                    self.signer(account, signed.signer).or_else(|| self.unknown_anywhere(account, nonce)).or_else(
                        || (size.0 >= current).then_some(Reject::NotSmaller { nonce, size, current: Lots(current) }),
                    );
                match refusal {
                    Some(reject) => out.push(Event::Rejected { account, nonce, reject }),
                    None if size.0 + remaining <= current => {
                        self.cancel_anywhere(account, nonce, CancelReason::Requested, &mut out);
                    }
                    None => self.take_off(account, nonce, current - size.0, CancelReason::Requested, &mut out),
                }
            }
            Command::CancelMany(signed) => {
                let CancelMany { account, venue, market, sides, nonce } = signed.message;
                if let Some(reject) = self.signer(account, signed.signer).or_else(|| self.spent(account, nonce)) {
                    out.push(Event::Rejected { account, nonce, reject });
                } else {
                    self.accounts.get_mut(&account).unwrap().used.insert(nonce.0);
                    self.cancel_chosen(account, venue, market, sides, &mut out);
                    self.ended(account, nonce, &mut out);
                }
            }
            Command::CancelAfter(signed) => {
                let CancelAfter { account, time, nonce } = signed.message;
                if let Some(reject) = self.signer(account, signed.signer).or_else(|| self.spent(account, nonce)) {
                    out.push(Event::Rejected { account, nonce, reject });
                } else {
                    self.accounts.get_mut(&account).unwrap().used.insert(nonce.0);
                    self.turn_switch(account, time, &mut out);
                    self.ended(account, nonce, &mut out);
                }
            }
            Command::Cancel(signed) => {
                let Cancel { account, nonce } = signed.message;
                match self.signer(account, signed.signer).or_else(|| self.unknown_anywhere(account, nonce)) {
                    Some(reject) => out.push(Event::Rejected { account, nonce, reject }),
                    None => self.cancel_anywhere(account, nonce, CancelReason::Requested, &mut out),
                }
            }
            Command::CancelAll(signed) => {
                let CancelAll { account, below } = signed.message;
                if let Some(reject) = self.signer(account, signed.signer) {
                    out.push(Event::Rejected { account, nonce: below, reject });
                } else {
                    self.raise_floor(account, below, &mut out);
                }
            }
            Command::InSession { login, act } => self.act(login, *act, &mut out),
            Command::Withdraw(signed) => self.withdraw(signed, &mut out),
            Command::Transfer(signed) => self.transfer(signed, &mut out),
            Command::Liquidate(signed) => self.queue_request(keepers::Request::Liquidation(*signed), &mut out),
            Command::Convert(signed) => self.queue_request(keepers::Request::Conversion(*signed), &mut out),
            Command::Window { .. } => {}
            Command::Frame { time, inbox, prices } => self.frame(*time, inbox, prices, log_hash, &mut out),
        }
        self.commands += 1;
        out
    }

    fn place(&mut self, order: &Signed<Order>, instructions: Instructions, out: &mut Vec<Event>) {
        let Order { account, nonce, .. } = order.message;
        match self.refusal(order, instructions) {
            Some(reject) => out.push(Event::Rejected { account, nonce, reject }),
            None => self.execute(*order, instructions, out),
        }
    }

    fn replace(&mut self, old: Nonce, order: &Signed<Order>, instructions: Instructions, out: &mut Vec<Event>) {
        let Order { account, nonce, .. } = order.message;
        if self.waits(account, old) {
            return self.replan(old, order, instructions, None, out);
        }
        let refusal = self.signer(account, order.signer).or_else(|| self.unknown(account, old)).or_else(|| {
            let mut without = self.clone();
            let index = self.index_of(account, old).unwrap();
            let leaves = without.orders.remove(index).signed.message;
            without.leaving = Some(leaves);
            self.cannot_replace(&leaves, &order.message).or_else(|| without.refusal(order, instructions))
        });
        match refusal {
            Some(reject) => out.push(Event::Rejected { account, nonce, reject }),
            None => {
                self.rename(account, old, nonce);
                self.cancel(account, old, CancelReason::Replaced, out);
                self.execute(*order, instructions, out);
            }
        }
    }

    fn act(&mut self, login: &Signed<Session>, act: Act, out: &mut Vec<Event>) {
        let Session { account, expiry, .. } = login.message;
        let time = TimeMs(self.open.time);
        let refusal = if expiry < time {
            Some(Reject::Expired { expiry, time })
        } else {
            let known = self.signer(account, login.signer);
            if let Act::Cancel { nonce } = act {
                known.or_else(|| self.unknown_anywhere(account, nonce))
            } else {
                known
            }
        };
        match (refusal, act) {
            (Some(reject), act) => out.push(Event::Rejected { account, nonce: act.nonce(), reject }),
            (None, Act::Cancel { nonce }) => self.cancel_anywhere(account, nonce, CancelReason::Requested, out),
            (None, Act::CancelAll { below }) => self.raise_floor(account, below, out),
            (None, Act::CancelMany { venue, market, sides }) => self.cancel_chosen(account, venue, market, sides, out),
            (None, Act::CancelAfter { time }) => self.turn_switch(account, time, out),
        }
    }

    fn cancel_chosen(
        &mut self,
        account: AccountId,
        venue: VenueId,
        market: MarketId,
        sides: Sides,
        out: &mut Vec<Event>,
    ) {
        let is_meant = |naive: &Self, order: &Order| {
            let on_venue = venue.0 == 0 || naive.listing(order.market).terms.venue == venue;
            let on_side = sides == Sides::Both || (sides == Sides::Buy) == (order.side == Side::Buy);
            on_venue && on_side && (market.0 == 0 || order.market == market)
        };
        for nonce in self.nonces_of(account) {
            let resting = self.orders.iter().find(|resting| resting.is(account, nonce)).unwrap();
            if is_meant(self, &resting.signed.message) {
                self.cancel(account, nonce, CancelReason::Requested, out);
            }
        }
        for waiting in self.waiting_of(account) {
            if is_meant(self, &waiting.signed.message) {
                self.cancel_waiting(account, waiting.nonce(), CancelReason::Requested, out);
            }
        }
    }

    fn turn_switch(&mut self, account: AccountId, time: TimeMs, out: &mut Vec<Event>) {
        self.switches.insert(account, time.0);
        self.switches.retain(|_, time| *time != 0);
        out.push(Event::CancelAfterSet { account, time });
    }

    fn raise_floor(&mut self, account: AccountId, below: Nonce, out: &mut Vec<Event>) {
        for nonce in self.nonces_of(account).into_iter().filter(|nonce| *nonce < below) {
            self.cancel(account, nonce, CancelReason::BelowFloor, out);
        }
        for waiting in self.waiting_of(account).into_iter().filter(|waiting| waiting.nonce() < below) {
            self.cancel_waiting(account, waiting.nonce(), CancelReason::BelowFloor, out);
        }
        // What they were to follow never comes.
        let mut never: Vec<_> = self.waiting_of(account).iter().filter_map(|waiting| waiting.after()).collect();
        never.sort();
        for followed in never.into_iter().filter(|followed| *followed < below) {
            self.ended(account, followed, out);
        }
        let state = self.accounts.get_mut(&account).unwrap();
        state.floor = state.floor.max(below.0);
        out.push(Event::FloorRaised { account, floor: Nonce(state.floor) });
    }
}
