//! One life: both sides driven by the same steps, and compared after every batch.

mod isolated;
mod kinds;
mod options;
mod rescues;
mod tiers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alloy::primitives::aliases::{I24, U24, U96};
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::{SolCall, SolError, SolEvent};
use xos_auth::{Domain, Key, Tree};
use xos_chain::abi::IRiskGroup::{self, BatchSettled, Probed};
use xos_chain::abi::{self, IGateway, IGroupViews, IToken};
use xos_chain::{Attribution, SettleCall, describe_revert, inbox_item_hash};
use xos_engine::Engine;
use xos_types::{
    AccountId, Atoms, Cancel, CancelAll, CancelReason, Command, Event, EventId, Frame, GroupConfig, GroupTerms,
    InboxItem, InboxPayload, Instructions, Lots, MarketId, Nonce, Order, OrderKind, Pace, Plan, Position, Ppm, Side,
    Signed, SignedTree, Ticks, TimeMs, Trigger, TriggerSource, TriggerWhen, Withdraw,
};

pub(crate) use isolated::IsolatedStep;
pub(crate) use kinds::{AssetPlan, FeedPlan, KindStep, PerpetualPlan, TermsPlan, TradePlan};
use kinds::{Kinds, KindsSnapshot};
pub(crate) use options::Options;
pub(crate) use rescues::RescueStep;
use rescues::{RescueSnapshot, RescueTotals};
pub(crate) use tiers::TiersPlan;

use crate::evm::{CHAIN_ID, Done, Evm, GAS_LIMIT, Reverted, queued};

const TRADERS: u8 = 6;
/// A life goes on from a snapshot of itself after that many steps.
const RESUMED_EVERY: u32 = 13;

/// Keys that owners let act for their accounts.
const AGENTS: u8 = 2;
const START: TimeMs = TimeMs(1_781_000_000_000);
const RELAYER: Address = Address::repeat_byte(0xee);
/// Orders after which a frame is sealed even if no step says so: what the node's gas target does.
const FRAME_GAS_TARGET: u64 = 12_000_000;
/// Small sizes are so many of these parts of what an account can afford.
const PARTS: u64 = 400;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Place(Placement),
    Cancel { account: u8, pick: u8 },
    CancelAll { account: u8, ahead: u8 },
    Withdraw { account: u8, part: u8 },
    Deposit { account: u8, amount: u64, fresh: bool },
    ForceWithdrawal { account: u8, part: u8 },
    ForceCancelAll { account: u8, ahead: u8 },
    Grant { account: u8, agent: u8, ms: u64, max_notional: u64, rights: u8 },
    Register { account: u8 },
    Refer { account: u8, builder: u8 },
    Venue(VenuePlan),
    FeeTiers(TiersPlan),
    Join { account: u8, venue: u8, ms: u64 },
    Phase { event: u8, phase: u8 },
    Terms,
    Open(EventPlan),
    Resolve { event: u8, how: u64 },
    Kind(KindStep),
    Rescue(RescueStep),
    Isolated(IsolatedStep),
    Frame { ms: u64, items: u8, prices: u64 },
}

#[derive(Clone, Debug)]
pub(crate) struct EventPlan {
    pub(crate) outcomes: u8,
    pub(crate) ticks: u32,
    pub(crate) quantum: u64,
    pub(crate) taker_fee: u32,
    /// A share of the taker's fee as a rebate, if negative, in hundredths.
    pub(crate) maker_fee: i32,
    pub(crate) venue: u8,
    pub(crate) curve: bool,
    pub(crate) restricted: bool,
    pub(crate) isolated_only: bool,
    /// 0 for none.
    pub(crate) position_cap: u64,
    pub(crate) open_interest_cap: u64,
}

impl EventPlan {
    fn maker_rate(&self) -> i32 {
        let taker = i32::try_from(self.taker_fee).unwrap();
        if self.maker_fee < 0 { taker * self.maker_fee / 100 } else { self.maker_fee }
    }

    fn highest_fee(&self) -> u32 {
        self.taker_fee.max(self.maker_rate().max(0).unsigned_abs())
    }
}

/// A venue that opens, or shares its fees in another way.
#[derive(Clone, Debug)]
pub(crate) struct VenuePlan {
    /// Which of the open ones changes; 0 opens another.
    pub(crate) pick: u8,
    pub(crate) treasury: u8,
    pub(crate) shares: [u32; 3],
}

/// An order before it meets a life; numbers pick among what exists.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    pub(crate) account: u8,
    pub(crate) event: u8,
    pub(crate) outcome: u8,
    pub(crate) buy: bool,
    pub(crate) kind: u8,
    /// Thousandths of the market's range.
    pub(crate) price: u16,
    /// Lots; below `PARTS`, as many as that part of the account's free money affords.
    pub(crate) size: u64,
    /// What is odd about it; most values leave it plain.
    pub(crate) twist: u8,
    /// Of what its plan is made; 0 for none.
    pub(crate) plan: u64,
}

/// What happened over lives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) batches: u64,
    pub(crate) fill_lines: u64,
    accepted: u64,
    rejected: u64,
    redemptions: u64,
    auctioned: u64,
    kinds_auctioned: u64,
    withdrawals: u64,
    forced: u64,
    resolutions: u64,
    splits: u64,
    partial: u64,
    agents: u64,
    rebates: u64,
    discounts: u64,
    tree_lines: u64,
    referred: u64,
    shared: u64,
    revoked: u64,
    reduced: u64,
    capped: u64,
    triggered: u64,
    followed: u64,
    excluded: u64,
    sliced: u64,
    refilled: u64,
    refused: u64,
    perpetual_lines: u64,
    spot_lines: u64,
    priced: u64,
    breached: u64,
    funded: u64,
    closed: u64,
    failing: u64,
    shed: u64,
    assets_left: u64,
    assets_forced: u64,
    transfers: u64,
    reduce_only: u64,
    builders: u64,
    uncredited: u64,
    isolated_opened: u64,
    isolated_lines: u64,
    isolated_only_lines: u64,
    isolated_emptied: u64,
    isolated_left: u64,
    pub(crate) rescues: RescueTotals,
    pub(crate) options: Options,
    most_gas: u64,
    /// Gas used of the gas estimated, in thousandths, of the batch that came closest.
    closest_estimate: u64,
    /// The same among batches with rescues and without fills.
    closest_rescue: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Self) {
        self.batches += other.batches;
        self.fill_lines += other.fill_lines;
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.redemptions += other.redemptions;
        self.auctioned += other.auctioned;
        self.kinds_auctioned += other.kinds_auctioned;
        self.withdrawals += other.withdrawals;
        self.forced += other.forced;
        self.resolutions += other.resolutions;
        self.splits += other.splits;
        self.partial += other.partial;
        self.agents += other.agents;
        self.rebates += other.rebates;
        self.discounts += other.discounts;
        self.tree_lines += other.tree_lines;
        self.referred += other.referred;
        self.shared += other.shared;
        self.revoked += other.revoked;
        self.reduced += other.reduced;
        self.capped += other.capped;
        self.triggered += other.triggered;
        self.followed += other.followed;
        self.excluded += other.excluded;
        self.sliced += other.sliced;
        self.refilled += other.refilled;
        self.refused += other.refused;
        self.perpetual_lines += other.perpetual_lines;
        self.spot_lines += other.spot_lines;
        self.priced += other.priced;
        self.breached += other.breached;
        self.funded += other.funded;
        self.closed += other.closed;
        self.failing += other.failing;
        self.shed += other.shed;
        self.assets_left += other.assets_left;
        self.assets_forced += other.assets_forced;
        self.transfers += other.transfers;
        self.reduce_only += other.reduce_only;
        self.builders += other.builders;
        self.uncredited += other.uncredited;
        self.isolated_opened += other.isolated_opened;
        self.isolated_lines += other.isolated_lines;
        self.isolated_only_lines += other.isolated_only_lines;
        self.isolated_emptied += other.isolated_emptied;
        self.isolated_left += other.isolated_left;
        self.rescues.add(&other.rescues);
        self.options.join(&other.options);
        self.most_gas = self.most_gas.max(other.most_gas);
        self.closest_estimate = self.closest_estimate.max(other.closest_estimate);
        self.closest_rescue = self.closest_rescue.max(other.closest_rescue);
    }

    pub(crate) fn kinds(&self) -> [(&'static str, u64); 29] {
        [
            ("order accepted", self.accepted),
            ("order rejected", self.rejected),
            ("redemption", self.redemptions),
            ("fill in an auction of an outcome", self.auctioned),
            ("withdrawal", self.withdrawals),
            ("forced withdrawal", self.forced),
            ("resolution", self.resolutions),
            ("split payout", self.splits),
            ("partly filled order compared", self.partial),
            ("order by a key that acts for the owner", self.agents),
            ("rebate", self.rebates),
            ("fill at a discount", self.discounts),
            ("line of an order of a tree", self.tree_lines),
            ("referrer's share", self.referred),
            ("share of the protocol", self.shared),
            ("order of a revoked key cancelled", self.revoked),
            ("order held to reducing", self.reduced),
            ("order stopped by a cap", self.capped),
            ("order whose price came", self.triggered),
            ("order that another was to follow and that ended", self.followed),
            ("order that another excluded", self.excluded),
            ("partly filled order of which a slice waits", self.sliced),
            ("iceberg's next part", self.refilled),
            ("planned order that was refused", self.refused),
            ("isolated account", self.isolated_opened),
            ("line of an isolated account", self.isolated_lines),
            ("line in a market for isolated accounts only", self.isolated_only_lines),
            ("isolated account that sent all back", self.isolated_emptied),
            ("withdrawal from an isolated account", self.isolated_left),
        ]
    }
}

impl Totals {
    /// What lives with assets and perpetuals must have seen.
    pub(crate) fn more_kinds(&self) -> [(&'static str, u64); 15] {
        [
            ("line of a perpetual", self.perpetual_lines),
            ("line of a spot market", self.spot_lines),
            ("fill in an auction of a spot or perpetual market", self.kinds_auctioned),
            ("price", self.priced),
            ("price that broke a rule", self.breached),
            ("funding", self.funded),
            ("position of a delisted perpetual paid", self.closed),
            ("failing account", self.failing),
            ("order that its account could not carry", self.shed),
            ("withdrawal of an asset", self.assets_left),
            ("forced withdrawal of an asset", self.assets_forced),
            ("transfer", self.transfers),
            ("line of a reduce-only order", self.reduce_only),
            ("builder's fee", self.builders),
            ("deposit without room", self.uncredited),
        ]
    }
}

/// The engine's side of the comparison, at a seal.
struct Snapshot {
    kinds: KindsSnapshot,
    rescues: RescueSnapshot,
    /// Cash and worst payoff together, without the frame's fees.
    money: BTreeMap<AccountId, i128>,
    /// Owner, cash with what the frame's fees bring, worst payoff.
    accounts: Vec<(AccountId, Address, Atoms, Atoms)>,
    /// In the order in which they were opened.
    isolated: Vec<AccountId>,
    open_interest: BTreeMap<MarketId, i128>,
    positions: BTreeMap<(AccountId, EventId), BTreeMap<u8, i64>>,
    /// Lots that resting orders filled so far.
    partial: Vec<(AccountId, Nonce, u64)>,
    custody: Atoms,
    next_inbox: u64,
    gas: u64,
}

pub(crate) struct Life {
    evm: Evm,
    engine: Engine,
    domain: Domain,
    /// Who may be told to sign batches; the first begins.
    sequencers: [Key; 2],
    deployer: Key,
    traders: Vec<Key>,
    agents: Vec<Key>,
    /// Every account on chain: its owner (index of the trader; the deployer comes last) and its next plain nonce.
    accounts: Vec<(usize, u64)>,
    /// The last plain nonce of isolated accounts, opened or not.
    isolated_nonces: BTreeMap<AccountId, u64>,
    /// Listings for isolated accounts only.
    isolated_only: BTreeSet<EventId>,
    /// Accounts that have named their referrer.
    referred: BTreeSet<AccountId>,
    builders: Vec<AccountId>,
    venues: u32,
    events: Vec<EventPlan>,
    /// Its number, by event.
    numbers: Vec<u32>,
    decided: Vec<bool>,
    /// Listings of every kind.
    listings: u32,
    kinds: Kinds,
    pending: VecDeque<InboxItem>,
    /// What each deposit item brought, by index.
    deposits: BTreeMap<u64, u128>,
    now: TimeMs,
    batch: u64,
    hash: B256,
    /// Tokens that each owner's wallet holds, by what the engine said.
    wallets: BTreeMap<Address, u128>,
    /// Lots that were taken off orders and did not fill.
    less: BTreeMap<(AccountId, Nonce), u64>,
    /// What the open frame will pay out.
    leaving: Vec<(Address, u128)>,
    minted: u128,
    totals: Totals,
}

impl Life {
    pub(crate) fn begin(events: &[EventPlan]) -> Self {
        let key = |number: u8| Key::from_bytes([number; 32]).unwrap();
        let (sequencers, deployer) = ([key(0x51), key(0x52)], key(0xd0));
        let sequencer = sequencers[0].address();
        let traders: Vec<Key> = (1..=TRADERS).map(key).collect();
        let people = traders.iter().chain([&deployer]).map(Key::address);
        let evm = Evm::deploy(sequencer, deployer.address(), people);
        let governance = deployer.address();
        let terms = GroupTerms::usual(sequencer);
        let config = GroupConfig { chain_id: CHAIN_ID, group: evm.group, token: evm.token, governance, terms };
        let mut life = Self {
            domain: Domain::new(CHAIN_ID, evm.group),
            engine: Engine::new(config),
            evm,
            sequencers,
            deployer,
            traders,
            agents: (1..=AGENTS).map(|number| key(0xa0 + number)).collect(),
            // The insurance fund and the protocol's treasury.
            accounts: vec![(usize::from(TRADERS), 0); 2],
            isolated_nonces: BTreeMap::new(),
            isolated_only: BTreeSet::new(),
            referred: BTreeSet::new(),
            builders: Vec::new(),
            venues: 0,
            events: Vec::new(),
            numbers: Vec::new(),
            decided: Vec::new(),
            listings: 0,
            kinds: Kinds::default(),
            pending: VecDeque::new(),
            deposits: BTreeMap::new(),
            now: START,
            batch: 0,
            hash: B256::ZERO,
            wallets: BTreeMap::new(),
            less: BTreeMap::new(),
            leaving: Vec::new(),
            minted: 0,
            totals: Totals::default(),
        };
        let separator = life.evm.view(life.evm.group, &IRiskGroup::domainSeparatorCall {});
        assert_eq!(separator, life.domain.separator());
        life.evm.set_time(life.now);
        life.start_terms();
        life.venue(&VenuePlan { pick: 0, treasury: 1, shares: [100_000, 50_000, 200_000] });
        for founder in [AccountId::INSURANCE, AccountId::PROTOCOL] {
            life.deposit(usize::from(TRADERS), Some(founder), 1_000_000);
        }
        for trader in 0..usize::from(TRADERS) {
            let amount = [200_000_000, 5_000_000, 40_000_000_000, 90_000, 1_000_000_000, 20_000_000][trader];
            life.deposit(trader, None, amount);
        }
        for plan in events {
            life.open(plan.clone());
        }
        life.frame(0, u8::MAX, 0);
        life
    }

    pub(crate) fn live(mut self, steps: &[Step]) -> Totals {
        for (number, step) in (1u32..).zip(steps) {
            match step.clone() {
                Step::Place(placement) => self.place(&placement),
                Step::Cancel { account, pick } => self.cancel(account, pick),
                Step::CancelAll { account, ahead } => self.cancel_all(account, ahead),
                Step::Withdraw { account, part } => self.withdraw(account, part),
                Step::Deposit { account, amount, fresh } => {
                    let account = self.pick_account(account);
                    let owner = self.owner_index(account);
                    // From dust to more than everybody else has.
                    let amount = amount >> (amount % 48) >> 12;
                    self.deposit(owner, (!fresh).then_some(account), u128::from(amount) + 1);
                }
                Step::ForceWithdrawal { account, part } => self.force_withdrawal(account, part),
                Step::ForceCancelAll { account, ahead } => self.force_cancel_all(account, ahead),
                Step::Grant { account, agent, ms, max_notional, rights } => {
                    self.grant(account, agent, ms, max_notional, rights);
                }
                Step::Register { account } => self.register(account),
                Step::Refer { account, builder } => self.refer(account, builder),
                Step::Venue(plan) => self.venue(&plan),
                Step::FeeTiers(plan) => self.fee_tiers(&plan),
                Step::Join { account, venue, ms } => self.join(account, venue, ms),
                Step::Phase { event, phase } => self.phase(usize::from(event) % self.events.len(), phase),
                Step::Terms => self.terms(),
                Step::Open(plan) => self.open(plan),
                Step::Resolve { event, how } => self.resolve(usize::from(event) % self.events.len(), how),
                Step::Kind(step) => self.kind_step(&step),
                Step::Rescue(step) => self.rescue_step(&step),
                Step::Isolated(step) => self.isolated_step(step),
                Step::Frame { ms, items, prices } => self.frame(ms, items, prices),
            }
            self.engine.check_invariants();
            if number % RESUMED_EVERY == 0 {
                self.resume();
            }
            if self.engine.frame_gas() > FRAME_GAS_TARGET {
                self.frame(1, 0, 0);
            }
        }
        self.everybody_leaves();
        self.totals
    }

    // ---------------------------------------------------------------- requests to the contract

    fn deposit(&mut self, owner: usize, account: Option<AccountId>, amount: u128) {
        let address = self.key(owner).address();
        let (token, gateway) = (self.evm.token, self.evm.gateway);
        self.evm.must(address, token, &IToken::mintCall { to: address, amount: U256::from(amount) });
        self.evm.must(address, token, &IToken::approveCall { spender: gateway, amount: U256::from(amount) });
        let account_number = account.unwrap_or_default().0;
        let call = IGateway::depositCall { account: account_number, owner: address, token, amount: U256::from(amount) };
        self.minted += amount;
        self.wallets.entry(address).or_default();
        let item = self.queue(address, &call);
        let InboxPayload::Deposit { account: credited, owner: by, amount: arrived, .. } = item.payload else {
            panic!("a deposit queues a deposit: {item:?}");
        };
        assert_eq!((by, arrived), (address, amount));
        self.deposits.insert(item.index, amount);
        if account.is_none() {
            self.accounts.push((owner, 0));
            assert_eq!(credited.0, self.accounts.len() as u64);
        }
        assert!(account.is_none_or(|account| account == credited));
    }

    fn open(&mut self, plan: EventPlan) {
        let number = self.events.len() + 1;
        let config = abi::EventConfig {
            terms: abi::TradingTerms {
                venue: self.pick_venue(plan.venue),
                quantum: plan.quantum,
                takerFee: U24::from(plan.taker_fee),
                makerFee: I24::try_from(plan.maker_rate()).unwrap(),
                curve: plan.curve,
                restricted: plan.restricted,
                isolatedOnly: plan.isolated_only,
                positionCap: plan.position_cap,
                openInterestCap: plan.open_interest_cap,
            },
            outcomes: plan.outcomes,
            ticks: plan.ticks,
            resolver: self.deployer.address(),
            title: format!("Événement {number}: who wins? ⚽"),
            labels: (0..plan.outcomes).map(|k| format!("Côte {}", "x".repeat(usize::from(k)))).collect(),
        };
        self.queue(self.deployer.address(), &IGateway::openEventCall { config });
        self.listings += 1;
        self.numbers.push(self.listings);
        if plan.isolated_only {
            self.isolated_only.insert(EventId(self.listings));
        }
        self.events.push(plan);
        self.decided.push(false);
    }

    fn resolve(&mut self, index: usize, how: u64) {
        if std::mem::replace(&mut self.decided[index], true) {
            return;
        }
        let EventPlan { outcomes, ticks, .. } = self.events[index];
        let ticks = u64::from(ticks);
        let count = u64::from(outcomes);
        let mut payouts = vec![0; usize::from(outcomes)];
        let winner = usize::try_from(how % count).unwrap();
        match how >> 32 & 3 {
            // A winner.
            0 | 1 => payouts[winner] = ticks,
            // A split as even as ticks allow.
            2 => {
                payouts.fill(ticks / count);
                payouts[winner] += ticks % count;
            }
            // Two share unevenly.
            _ => {
                payouts[winner] = ticks / 3;
                payouts[(winner + 1) % usize::from(outcomes)] += ticks - ticks / 3;
            }
        }
        self.totals.splits += u64::from(payouts[winner] != ticks);
        self.totals.resolutions += 1;
        let call = IGateway::resolveEventCall { eventId: U24::from(self.numbers[index]), payouts };
        self.queue(self.deployer.address(), &call);
    }

    fn venue(&mut self, plan: &VenuePlan) {
        let deployer = self.deployer.address();
        let treasury = self.pick_account(plan.treasury);
        let [protocol, insurance, referrer] = plan.shares.map(U24::from);
        let config = abi::VenueConfig {
            treasury: treasury.0,
            protocolShare: protocol,
            insuranceShare: insurance,
            referrerShare: referrer,
        };
        if plan.pick == 0 || self.venues == 0 {
            self.venues += 1;
            self.queue(deployer, &IGateway::openVenueCall { deployer, registrar: deployer, config });
        } else {
            let venue = self.pick_venue(plan.pick);
            self.queue(deployer, &IGateway::setVenueCall { venue, deployer, registrar: deployer, config });
        }
    }

    fn join(&mut self, account: u8, venue: u8, ms: u64) {
        // Sometimes a membership ends at once.
        let until = if ms < 100 { ms } else { self.now.0 + ms };
        let (account, venue) = (self.pick_account(account).0, self.pick_venue(venue));
        self.queue(self.deployer.address(), &IGateway::setMembershipCall { account, venue, until });
    }

    fn phase(&mut self, index: usize, pick: u8) {
        if self.decided[index] {
            return;
        }
        let phase = match pick {
            0..=19 => abi::Phase::Halted,
            20..=59 => abi::Phase::ReduceOnly,
            60..=129 => abi::Phase::Auction,
            130..=139 => abi::Phase::PostOnly,
            140..=149 => abi::Phase::Pending,
            _ => abi::Phase::Open,
        };
        let market = self.numbers[index] << 8;
        if pick.is_multiple_of(8) {
            self.hours(market, pick);
        }
        self.queue(self.deployer.address(), &IGateway::setPhaseCall { market, phase });
    }

    /// A market that never closes, or half of the day on every day or some, begun in the morning or before midnight.
    fn hours(&mut self, market: u32, pick: u8) {
        let weekdays = [127, 0, 0b001_1111, 0][usize::from(pick / 8) % 4];
        let (opens, closes) = if pick.is_multiple_of(32) { (1_200, 480) } else { (0, 720) };
        let hours = abi::Hours { weekdays, opens, closes };
        self.queue(self.deployer.address(), &IGateway::setHoursCall { market, tradingHours: hours });
    }

    /// Other terms, and perhaps another sequencer.
    fn terms(&mut self) {
        let turn = u8::try_from(self.batch % 3).unwrap();
        let terms = abi::GroupTerms {
            sequencer: self.sequencers[usize::from(turn) % 2].address(),
            maxHoldings: 2 + turn,
            keeperShare: U24::from(self.batch % 1_000),
            grace: 1_000 + 500 * u32::from(turn),
        };
        self.queue(self.deployer.address(), &IGateway::setTermsCall { terms });
    }

    fn grant(&mut self, account: u8, agent: u8, ms: u64, max_notional: u64, rights: u8) {
        let account = self.pick_account(account);
        let venue = self.pick_venue(rights >> 4);
        let grant = abi::SignerGrant {
            signer: self.agent(agent).address(),
            // Sometimes it is a revocation.
            expiry: if ms < 100 { 0 } else { self.now.0 + ms },
            maxNotional: U96::from(max_notional),
            trade: rights & 3 != 0,
            withdraw: rights & 4 != 0,
            venues: if rights & 8 == 0 { [0; 3] } else { [0, venue, 99] },
        };
        let owner = self.key(self.owner_index(account)).address();
        self.request(owner, &IGateway::setSignerCall { account: account.0, grant });
    }

    fn register(&mut self, account: u8) {
        let account = self.pick_account(account);
        let owner = self.key(self.owner_index(account)).address();
        self.builders.push(account);
        self.request(owner, &IGateway::registerBuilderCall { account: account.0 });
    }

    fn refer(&mut self, account: u8, builder: u8) {
        let account = self.pick_anyone(account);
        if self.builders.is_empty() || !self.referred.insert(account) {
            return;
        }
        let owner = self.key(self.owner_index(account)).address();
        let referrer = 1 + u32::from(builder) % u32::try_from(self.builders.len()).unwrap();
        self.request(owner, &IGateway::setReferrerCall { account: account.0, referrer });
    }

    fn force_cancel_all(&mut self, account: u8, ahead: u8) {
        let account = self.pick_anyone(account);
        let owner = self.key(self.owner_index(account)).address();
        let floor = self.last_nonce(account).saturating_sub(u64::from(ahead % 8));
        self.request(owner, &IGateway::requestCancelAllCall { account: account.0, floor });
    }

    fn force_withdrawal(&mut self, account: u8, part: u8) {
        let account = self.pick_anyone(account);
        let owner = self.key(self.owner_index(account)).address();
        let available = self.engine.account(account).map_or(1, |view| view.available.0.max(1));
        let amount = share(available, part);
        let token = self.evm.token;
        self.request(owner, &IGateway::requestWithdrawalCall { account: account.0, token, amount });
    }

    /// Asks the gateway for something that costs nothing.
    fn queue<C: SolCall>(&mut self, from: Address, call: &C) -> InboxItem {
        let done = self.evm.must(from, self.evm.gateway, call);
        self.expect(&done)
    }

    /// Asks the gateway for something, and pays for it.
    fn request<C: SolCall>(&mut self, from: Address, call: &C) {
        let done = self.evm.request(from, call);
        self.expect(&done);
    }

    fn expect(&mut self, done: &Done) -> InboxItem {
        let group = self.evm.group;
        let item = queued(done);
        let next = self.pending.back().map_or(self.engine.next_inbox(), |last| last.index + 1);
        assert_eq!(item.index, next);
        assert_eq!(item.time.0, self.now.0 / 1_000 * 1_000);
        let stored = self.evm.view(group, &IGroupViews::inboxHashCall { index: item.index });
        assert_eq!(stored, inbox_item_hash(&item), "the contract stored the hash of what its log says");
        self.totals.options.note(&item.payload);
        self.pending.push_back(item.clone());
        item
    }

    // ---------------------------------------------------------------- signed messages

    fn place(&mut self, p: &Placement) {
        let index = self.pick_event(p.event);
        let plan = self.events[index].clone();
        let event = EventId(self.numbers[index]);
        let account = self.pick_trader(p.account, MarketId::new(event, 0));
        let mut order = Order {
            account,
            // Most meet on the first outcomes, so that there is somebody to trade with.
            market: MarketId::new(event, if p.outcome < 200 { p.outcome % 3 } else { p.outcome } % plan.outcomes),
            side: if p.buy { Side::Buy } else { Side::Sell },
            kind: match p.kind {
                0..=4 => OrderKind::GoodTillCancelled,
                5 => OrderKind::ImmediateOrCancel,
                6 => OrderKind::FillOrKill,
                _ => OrderKind::PostOnly,
            },
            reduce_only: false,
            size: Lots(p.size),
            price: Ticks(1 + u64::from(plan.ticks - 2) * u64::from(p.price) / 1_000),
            nonce: self.next_nonce(account),
            expiry: TimeMs(0),
            max_fee: Ppm(plan.highest_fee()),
            builder: 0,
            builder_fee: Ppm(0),
        };
        if (1..PARTS).contains(&p.size) {
            order.size = Lots(self.affordable(&order, &plan, p.size));
        }
        let mut signer = self.owner_index(account);
        match p.twist {
            0..=29 => order.expiry = TimeMs(self.now.0 + u64::from(p.twist) * 300),
            30..=33 => order.nonce = Nonce(u64::from(p.twist - 30)),
            34..=36 => order.nonce = Nonce(u64::MAX - p.size % 256),
            37..=40 => order.max_fee = Ppm(order.max_fee.0.saturating_sub(1)),
            41..=50 => order.max_fee = Ppm(u32::MAX),
            51 => order.price = Ticks(0),
            52 => order.price = Ticks(plan.ticks.into()),
            53 => order.reduce_only = true,
            54 => order.builder = 1,
            55 => order.builder_fee = Ppm(1),
            56..=58 => signer = (signer + 1) % usize::from(TRADERS),
            59 => order.market = MarketId(order.market.0 + u32::from(plan.outcomes)),
            _ => {}
        }
        let agent = (60..=79).contains(&p.twist);
        let key = if agent { self.agent(p.twist) } else { self.key(signer) }.clone();
        let accepted = self.totals.accepted;
        let command = self.planned(&key, order, p.plan);
        self.apply(command);
        self.totals.agents += u64::from(agent && self.totals.accepted > accepted);
    }

    /// Lots that `parts` of the account's free money can carry at worst.
    fn affordable(&self, order: &Order, plan: &EventPlan, parts: u64) -> u64 {
        let free = self.engine.account(order.account).map_or(0, |view| view.available.0.max(0));
        let ticks = if order.side == Side::Buy { order.price.0 } else { u64::from(plan.ticks) - order.price.0 };
        let lots = free * i128::from(parts) / i128::from(PARTS) / (i128::from(ticks) * i128::from(plan.quantum));
        u64::try_from(lots).unwrap().max(1)
    }

    fn cancel(&mut self, account: u8, pick: u8) {
        let account = self.pick_anyone(account);
        let open = self.engine.open_orders(account);
        let nonce = match open.get(usize::from(pick) % open.len().max(1)) {
            Some(view) => view.order.nonce,
            None => Nonce(u64::from(pick)),
        };
        let key = self.key(self.owner_index(account)).clone();
        self.apply(Command::Cancel(key.sign_typed(&self.domain, Cancel { account, nonce })));
    }

    fn cancel_all(&mut self, account: u8, ahead: u8) {
        let account = self.pick_anyone(account);
        let below = Nonce(self.last_nonce(account).saturating_sub(u64::from(ahead % 8)));
        let key = self.key(self.owner_index(account)).clone();
        self.apply(Command::CancelAll(key.sign_typed(&self.domain, CancelAll { account, below })));
    }

    fn withdraw(&mut self, account: u8, part: u8) {
        let account = self.pick_anyone(account);
        let available = self.engine.account(account).map_or(1, |view| view.available.0);
        // Sometimes more than there is, which is refused.
        let amount = if part == 255 { available.unsigned_abs() + 1 } else { share(available, part) };
        self.sign_withdraw(account, amount);
    }

    fn sign_withdraw(&mut self, account: AccountId, amount: u128) {
        let expiry = if amount.is_multiple_of(3) { TimeMs(self.now.0 + 1_000) } else { TimeMs(0) };
        let nonce = self.next_nonce(account);
        let withdraw = Withdraw { account, token: self.evm.token, amount, nonce, expiry };
        let key = self.key(self.owner_index(account)).clone();
        self.apply(Command::Withdraw(key.sign_typed(&self.domain, withdraw)));
    }

    /// Goes on with the engine that a snapshot of this one gives.
    fn resume(&mut self) {
        let mut snapshot = Vec::new();
        let hash = self.engine.snapshot(&mut snapshot).unwrap();
        self.engine = Engine::restore(&snapshot[..]).unwrap();
        self.engine.check_invariants();
        assert_eq!(self.engine.state_hash(), hash, "a snapshot is the state that it was made of");
    }

    /// Lots that were taken off an order and did not fill.
    fn less(&self, account: AccountId, nonce: Nonce) -> u64 {
        self.less.get(&(account, nonce)).copied().unwrap_or(0)
    }

    /// Orders around one, on its side and now and then on the other, under one signature; some take the place of others.
    fn tree(&mut self, key: &Key, order: Order, seed: u64) -> Command {
        let count = 1 + seed % 20;
        let orders: Vec<Order> = (0..count)
            .map(|rung| {
                let side = if seed >> (rung % 16) & 3 == 3 { order.side.opposite() } else { order.side };
                let away = |price: u64| if side == Side::Buy { price.saturating_sub(rung) } else { price + rung };
                let nonce = if rung == 0 { order.nonce } else { self.next_nonce(order.account) };
                Order { side, nonce, price: Ticks(away(order.price.0)), ..order }
            })
            .collect();
        let open = self.engine.open_orders(order.account).into_iter().map(|view| view.order.nonce);
        let replaces = open.take(usize::try_from(seed >> 16 & 3).unwrap()).collect();
        let mut tree = Tree::default();
        tree.build(&self.domain, &orders).unwrap();
        let Signed { signature, signer, .. } = key.sign_typed(&self.domain, tree.message());
        let tree = SignedTree::new(orders, signature, signer).unwrap();
        Command::PlaceTree { tree, replaces, instructions: Instructions::default() }
    }

    /// The command for an order, with the plan that `seed` makes, or with others in a tree.
    fn planned(&mut self, key: &Key, order: Order, seed: u64) -> Command {
        if seed % 4 == 1 {
            return self.tree(key, order, seed / 4);
        }
        let order = key.sign_typed(&self.domain, order);
        if seed == 0 {
            return Command::place(order);
        }
        let Order { account, market, size, price, nonce, .. } = order.message;
        let mut seed = seed;
        let mut dice = |sides: u64| {
            let rolled = seed % sides;
            seed /= sides;
            rolled
        };
        let resting = self.engine.open_orders(account).into_iter().map(|view| view.order.nonce);
        let waiting = self.engine.planned_orders(account).into_iter().map(|view| view.order.nonce);
        let live: Vec<Nonce> = resting.chain(waiting).collect();
        let other = |dice: &mut dyn FnMut(u64) -> u64| match (dice(5), dice(64)) {
            (0 | 1, at) => live.get(usize::try_from(at).unwrap() % live.len().max(1)).copied(),
            (2, _) => Some(Nonce(nonce.0.wrapping_add(1))),
            _ => None,
        };
        let (after, cancels) = (other(&mut dice), other(&mut dice));
        let trigger = (dice(2) == 0).then(|| {
            let priced = self.engine.event(market.event()).is_none();
            let source = if priced && dice(2) == 0 { TriggerSource::Index } else { TriggerSource::Mark };
            let when = if dice(2) == 0 { TriggerWhen::AtOrAbove } else { TriggerWhen::AtOrBelow };
            let level = u128::from(price.0) * u128::from(95 + dice(11)) / 100;
            Trigger { source, when, price: Ticks(u64::try_from(level).unwrap().max(1)) }
        });
        let pace = match dice(3) {
            0 => Pace::Whole,
            1 => Pace::Iceberg { display: Lots(size.0.div_ceil(2 + dice(4))) },
            _ => {
                let slices = u16::try_from(2 + dice(4)).unwrap();
                Pace::Twap { slices, interval: u32::try_from(1_000 + 500 * dice(3)).unwrap() }
            }
        };
        let plan = Plan { after, trigger, cancels, pace };
        Command::Plan { order, instructions: Instructions::default(), plan }
    }

    /// Any command but a frame.
    fn apply(&mut self, command: Command) {
        let mut events = Vec::new();
        self.engine.apply(&command.into(), &mut events);
        for event in &events {
            self.note(event);
        }
    }

    fn note(&mut self, event: &Event) {
        if matches!(event, Event::Filled(fill) if fill.taker_nonce == Nonce::FORCED) {
            self.note_rescue(event);
        }
        match event {
            Event::Accepted { .. } => self.totals.accepted += 1,
            Event::Rejected { .. } => self.totals.rejected += 1,
            Event::Withdrawn { account, amount, forced } => {
                let owner = self.key(self.owner_index(*account)).address();
                self.leaving.push((owner, amount.0.try_into().unwrap()));
                self.totals.forced += u64::from(*forced);
                self.totals.withdrawals += u64::from(!forced);
                self.totals.isolated_left += u64::from(account.is_isolated());
            }
            Event::Redeemed { .. } => self.totals.redemptions += 1,
            Event::AuctionFilled(fill) => match self.kinds_of(fill.market) {
                Some(_) => self.totals.kinds_auctioned += 1,
                None => self.totals.auctioned += 1,
            },
            Event::Filled(fill) => {
                self.totals.rebates += u64::from(fill.maker_fee.0 < 0);
                self.note_discount(fill);
            }
            Event::FeesPaid { account: AccountId::PROTOCOL, .. } => self.totals.shared += 1,
            Event::FeesPaid { account, .. } => self.totals.referred += u64::from(self.builders.contains(account)),
            Event::Planned { .. } => self.totals.accepted += 1,
            Event::Triggered { .. } => self.totals.triggered += 1,
            Event::Refilled { .. } => self.totals.refilled += 1,
            Event::Refused { .. } => self.totals.refused += 1,
            Event::Reduced { account, nonce, by, .. } => {
                *self.less.entry((*account, *nonce)).or_default() += by.0;
            }
            Event::Cancelled { reason, .. } => {
                let follows = [CancelReason::NothingToFollow, CancelReason::Followed].contains(reason);
                self.totals.followed += u64::from(follows);
                self.totals.excluded += u64::from(*reason == CancelReason::OneCancelsOther);
                self.totals.revoked += u64::from(*reason == CancelReason::SignerRevoked);
                self.totals.reduced += u64::from(*reason == CancelReason::OnlyReducing);
                self.totals.shed += u64::from(*reason == CancelReason::Margin);
                self.totals.capped += u64::from(*reason == CancelReason::OpenInterestCap);
            }
            Event::AssetWithdrawn { account, asset, amount, forced } => {
                self.note_asset_left(*account, *asset, *amount);
                self.totals.assets_forced += u64::from(*forced);
                self.totals.assets_left += u64::from(!forced);
            }
            Event::AssetDeposited { asset, amount, credited: false, .. } => {
                self.note_uncredited(*asset, *amount);
                self.totals.uncredited += 1;
            }
            Event::Priced { breached, .. } => {
                self.totals.priced += 1;
                self.totals.breached += u64::from(*breached);
            }
            Event::Funded { .. } => self.totals.funded += 1,
            Event::Closed { .. } => self.totals.closed += 1,
            Event::Failing { .. } => self.totals.failing += 1,
            Event::Transferred { .. } => self.totals.transfers += 1,
            Event::AccountOpened { account, .. } => self.totals.isolated_opened += u64::from(account.is_isolated()),
            Event::FrameSealed(_) => panic!("only a frame command seals"),
            _ => self.note_rescue(event),
        }
    }

    // ---------------------------------------------------------------- frames and batches

    /// Seals the open frame, settles it, compares, and opens the next one with some of the inbox.
    fn frame(&mut self, ms: u64, items: u8, seed: u64) {
        self.now.0 += ms;
        self.evm.set_time(self.now);
        let snapshot = self.snapshot();
        let take = usize::from(items).min(self.pending.len());
        let inbox: Vec<InboxItem> = self.pending.drain(..take).collect();
        let prices = self.next_prices(seed);
        let mut events = Vec::new();
        let command = Command::Frame { time: self.now, inbox, prices: prices.clone() };
        self.engine.apply(&command.into(), &mut events);
        let mut events = events.into_iter().peekable();
        let sealed = events.next_if(|event| matches!(event, Event::FrameSealed(_)));
        if let Some(Event::FrameSealed(frame)) = &sealed {
            let at_seal = |event: &Event| {
                matches!(event, Event::FeesPaid { .. } | Event::LossesRepaid { .. } | Event::PaidInPart { .. })
            };
            while let Some(event) = events.next_if(at_seal) {
                self.note(&event);
            }
            self.settle(frame, &snapshot);
        }
        self.compare(&snapshot);
        self.compare_kinds(&snapshot, sealed.is_some());
        self.compare_rescues(&snapshot);
        self.compare_isolated(&snapshot.isolated);
        self.tell_source(&prices);
        for event in events {
            self.note(&event);
        }
    }

    fn snapshot(&self) -> Snapshot {
        let mut accounts = Vec::new();
        let mut positions = BTreeMap::<_, BTreeMap<u8, i64>>::new();
        let mut partial = Vec::new();
        let mut open_interest = BTreeMap::new();
        let accrued = self.engine.accrued_fees();
        for id in self.engine.account_ids() {
            let view = self.engine.account(id).unwrap();
            let cash = view.cash + accrued.get(&id).copied().unwrap_or_default();
            accounts.push((id, view.owner, cash, view.worst_payoff));
            for (market, Position(lots)) in self.engine.positions(id) {
                *open_interest.entry(market).or_default() += i128::from(lots.max(0));
                positions.entry((id, market.event())).or_default().insert(market.outcome(), lots);
            }
            for open in self.engine.open_orders(id) {
                let nonce = open.order.nonce;
                partial.push((id, nonce, open.order.size.0 - self.less(id, nonce) - open.remaining.0));
            }
            for waiting in self.engine.planned_orders(id) {
                partial.push((id, waiting.order.nonce, waiting.filled.0));
            }
        }
        Snapshot {
            kinds: self.kinds_snapshot(),
            rescues: self.rescue_snapshot(),
            money: self.money_now(),
            isolated: self.isolated(),
            accounts,
            open_interest,
            positions,
            partial,
            custody: self.engine.custody(),
            next_inbox: self.engine.next_inbox(),
            gas: self.engine.frame_gas(),
        }
    }

    fn settle(&mut self, frame: &Frame, snapshot: &Snapshot) {
        self.batch += 1;
        assert_eq!(frame.id, self.batch);
        // A batch that brings another sequencer is still signed by the one before.
        let signs = self.evm.view(self.evm.group, &IGroupViews::termsCall {}).sequencer;
        let sequencer = self.sequencers.iter().find(|key| key.address() == signs).unwrap();
        // Every other batch says who brought it about.
        let codes = if self.batch.is_multiple_of(2) { Vec::new() } else { vec!["xos".to_owned()] };
        let attribution = Attribution::try_from(codes).unwrap();
        let call = SettleCall::build(frame, self.hash, &self.domain, &attribution, sequencer);
        assert_eq!(xos_chain::batch_hash(frame, self.hash, &self.domain, &attribution), call.hash);
        let group = self.evm.group;

        let probed = self.evm.simulate(RELAYER, group, call.probe_calldata());
        let Err(Reverted(answer)) = probed else { panic!("a probe always reverts") };
        let probed = Probed::abi_decode(&answer).unwrap();
        let failure = &probed.failure;
        assert!(failure.is_empty(), "batch {} is refused: {}\n{frame:#?}", frame.id, describe_revert(failure));

        self.a_changed_batch_is_refused(&call.calldata);
        let done = match self.evm.send(RELAYER, group, call.calldata.clone()) {
            Ok(done) => done,
            Err(Reverted(data)) => panic!("batch {} reverts: {}", frame.id, describe_revert(&data)),
        };
        let all_in = call.gas_needed(u64::try_from(probed.gasUsed).unwrap());
        assert!(done.gas_used <= all_in, "the probe promised {all_in} gas, it took {}", done.gas_used);
        assert!(
            done.gas_used <= snapshot.gas,
            "the engine estimated {} gas, it took {} for {} lines, {} inbox items, {} redemptions, {} withdrawals",
            snapshot.gas,
            done.gas_used,
            call.orders_filled,
            frame.inbox.len(),
            frame.redemptions.len(),
            frame.withdrawals.len()
        );
        self.check_settled_log(frame, &call, &done, snapshot);

        self.hash = call.hash;
        self.totals.batches += 1;
        self.totals.fill_lines += call.orders_filled;
        self.kinds_settled();
        for (market, lines) in &frame.markets {
            let kind = self.kinds_of(*market);
            let count = u64::try_from(lines.len()).unwrap();
            self.totals.perpetual_lines += if kind == Some(true) { count } else { 0 };
            self.totals.spot_lines += if kind == Some(false) { count } else { 0 };
            for line in lines {
                let is_isolated = line.order.message.account.is_isolated();
                self.totals.isolated_lines += u64::from(is_isolated);
                let only = self.isolated_only.contains(&market.event());
                self.totals.isolated_only_lines += u64::from(is_isolated && only);
                self.totals.tree_lines += u64::from(line.order.signature.tree().is_some());
                self.totals.reduce_only += u64::from(line.order.message.reduce_only);
                self.totals.builders += u64::from(line.order.message.builder != 0);
            }
        }
        self.totals.most_gas = self.totals.most_gas.max(done.gas_used);
        self.totals.closest_estimate = self.totals.closest_estimate.max(done.gas_used * 1_000 / snapshot.gas);
        if !frame.rescues.is_empty() && frame.markets.is_empty() {
            self.totals.closest_rescue = self.totals.closest_rescue.max(done.gas_used * 1_000 / snapshot.gas);
        }
        assert!(self.totals.most_gas < GAS_LIMIT);
        for (owner, amount) in std::mem::take(&mut self.leaving) {
            *self.wallets.get_mut(&owner).unwrap() += amount;
        }
    }

    /// One bit anywhere in the batch, and nothing of it settles.
    fn a_changed_batch_is_refused(&mut self, calldata: &Bytes) {
        let mut changed = calldata.to_vec();
        let at = 4 + usize::try_from(self.batch * 7_919).unwrap() % (changed.len() - 4);
        changed[at] ^= 1 << (self.batch % 8);
        let outcome = self.evm.simulate(RELAYER, self.evm.group, changed.into());
        assert!(outcome.is_err(), "byte {at} of batch {} may be changed", self.batch);
    }

    fn check_settled_log(&mut self, frame: &Frame, call: &SettleCall, done: &Done, snapshot: &Snapshot) {
        let settled = done.logs.iter().find_map(|log| BatchSettled::decode_log(log).ok()).unwrap();
        assert_eq!(settled.id, frame.id);
        assert_eq!(settled.hash, call.hash);
        assert_eq!(settled.time, frame.time.0);
        assert_eq!(settled.sequence, frame.sequence);
        assert_eq!(settled.logHash, B256::from(frame.log_hash));
        assert_eq!(settled.inboxHead, snapshot.next_inbox);
        let last = self.evm.view(self.evm.group, &IGroupViews::lastBatchCall {});
        assert_eq!((last.id, last.hash), (frame.id, call.hash));
        assert_eq!((last.time, last.sequence), (frame.time.0, frame.sequence));
    }

    /// The contract is where the engine was at the seal.
    fn compare(&mut self, engine: &Snapshot) {
        let (token, group) = (self.evm.token, self.evm.group);
        for &(id, owner, cash, worst) in &engine.accounts {
            let chain = self.evm.view(group, &IGroupViews::accountCall { id: id.0 });
            assert_eq!((chain.owner, chain.cash, chain.worstPayoff), (owner, cash.0, worst.0), "account {id}");
            for event in self.numbers.clone() {
                let call = IGroupViews::positionsCall { id: id.0, eventId: U24::from(event) };
                let chain: BTreeMap<u8, i64> =
                    (0..).zip(self.evm.view(group, &call)).filter(|&(_, lots)| lots != 0).collect();
                let ours = engine.positions.get(&(id, EventId(event))).cloned().unwrap_or_default();
                assert_eq!(chain, ours, "account {id} in event {event}");
            }
        }
        for &(account, nonce, filled) in &engine.partial {
            let chain = self.evm.view(group, &IGroupViews::nonceStateCall { id: account.0, nonce: nonce.0 });
            assert_eq!((chain.spent, chain.filled), (false, filled), "order {nonce} of account {account}");
            self.totals.partial += u64::from(filled > 0);
            let waits = self.engine.planned_order(account, nonce).is_some();
            self.totals.sliced += u64::from(filled > 0 && waits);
        }
        for (&market, &lots) in &engine.open_interest {
            let index = self.numbers.iter().position(|number| *number == market.event().0).unwrap();
            let plan = &self.events[index];
            let counted = plan.position_cap != 0 || plan.open_interest_cap != 0;
            // Redemption leaves it: a decided market opens no more.
            if counted && !self.decided[index] {
                let chain = self.evm.view(group, &IGroupViews::marketCall { id: market.0 });
                assert_eq!(i128::from(chain.openInterest), lots, "open interest of {market}");
            }
        }
        let inbox = self.evm.view(group, &IGroupViews::inboxCall {});
        assert_eq!(inbox.head, engine.next_inbox);
        let pool = self.evm.view(group, &IGroupViews::poolCall {});
        assert_eq!(i128::try_from(pool.tokens).unwrap(), engine.custody.0, "the pool");

        // Deposits that no batch has consumed; the engine may have them in its open frame already.
        let waiting: u128 = self.deposits.range(inbox.head..inbox.tail).map(|(_, amount)| amount).sum();
        let held = self.evm.view(token, &IToken::balanceOfCall { owner: group });
        let custody = u128::try_from(engine.custody.0).unwrap();
        assert_eq!(held, U256::from(custody + waiting), "tokens in custody");
        for (&owner, &amount) in &self.wallets {
            let balance = self.evm.view(token, &IToken::balanceOfCall { owner });
            assert_eq!(balance, U256::from(amount), "wallet of {owner}");
        }
        self.check_conservation(engine);
    }

    /// Positions sum to zero in every market, and cash to the tokens held, once decided events are paid.
    fn check_conservation(&self, engine: &Snapshot) {
        let mut markets = BTreeMap::<(EventId, u8), i128>::new();
        let mut cash: i128 = engine.accounts.iter().map(|(_, _, cash, _)| cash.0).sum();
        for ((_, event), outcomes) in &engine.positions {
            let view = self.engine.event(*event).unwrap();
            for (&outcome, &lots) in outcomes {
                *markets.entry((*event, outcome)).or_default() += i128::from(lots);
                if let Some(payouts) = view.payouts {
                    cash += i128::from(lots)
                        * i128::from(payouts[usize::from(outcome)])
                        * i128::from(view.config.terms.quantum);
                }
            }
        }
        if self.nothing_is_priced() {
            assert_eq!(cash, engine.custody.0, "cash is what is held");
        }
        for ((event, outcome), lots) in markets {
            // While a decided event is being redeemed, those who were paid are no longer counted.
            let decided = self.engine.event(event).unwrap().payouts.is_some();
            assert!(decided || lots == 0, "market {event}/{outcome} sums to {lots}");
        }
    }

    // ---------------------------------------------------------------- the end

    /// Every event is decided and paid, everybody withdraws everything, and nothing is left behind.
    fn everybody_leaves(&mut self) {
        for index in 0..self.events.len() {
            self.resolve(index, u64::try_from(index).unwrap() * 7);
        }
        self.frame(1, u8::MAX, 0);
        while !self.pending.is_empty() || self.engine.pending_redemptions() > 0 {
            self.frame(1, u8::MAX, 0);
        }
        self.kinds_leave();
        for id in self.account_ids() {
            let view = self.engine.account(id).unwrap();
            assert_eq!(view.worst_payoff, Atoms(0));
            if view.cash.0 > 0 {
                self.sign_withdraw(id, view.cash.0.unsigned_abs());
            }
        }
        // Who has spent every nonce leaves by force.
        for id in self.account_ids() {
            let view = self.engine.account(id).unwrap();
            if view.cash.0 > 0 {
                let (token, amount) = (self.evm.token, view.cash.0.unsigned_abs());
                let call = IGateway::requestWithdrawalCall { account: id.0, token, amount };
                self.request(view.owner, &call);
            }
        }
        self.frame(1, u8::MAX, 0);
        self.frame(1, u8::MAX, 0);
        if !self.nothing_is_priced() {
            // Rounding stays in the pool, and so does what those cannot have who won from who cannot pay.
            return;
        }
        let held = self.evm.view(self.evm.token, &IToken::balanceOfCall { owner: self.evm.group });
        assert_eq!(held, U256::ZERO, "everybody left and nothing stayed");
        assert_eq!(self.wallets.values().sum::<u128>(), self.minted);
    }

    // ---------------------------------------------------------------- picking

    fn key(&self, owner: usize) -> &Key {
        self.traders.get(owner).unwrap_or(&self.deployer)
    }

    fn agent(&self, pick: u8) -> &Key {
        &self.agents[usize::from(pick) % self.agents.len()]
    }

    /// Whether a market is a perpetual; nothing of an event's.
    fn kinds_of(&self, market: MarketId) -> Option<bool> {
        self.kinds.markets.iter().find(|known| known.is(market)).map(kinds::Market::is_perpetual)
    }

    fn pick_venue(&self, pick: u8) -> u32 {
        1 + u32::from(pick) % self.venues
    }

    /// Index of an event; mostly one that trades, if any does.
    fn pick_event(&self, pick: u8) -> usize {
        let open: Vec<usize> = (0..self.events.len()).filter(|&index| !self.decided[index]).collect();
        let any = usize::from(pick) % self.events.len();
        if pick >= 240 { any } else { open.get(usize::from(pick) % open.len().max(1)).copied().unwrap_or(any) }
    }

    fn pick_account(&self, pick: u8) -> AccountId {
        AccountId(1 + u64::from(pick) % self.accounts.len() as u64)
    }

    fn owner_index(&self, account: AccountId) -> usize {
        self.accounts[index_of(account.parent())].0
    }

    fn account_ids(&self) -> Vec<AccountId> {
        self.engine.account_ids().collect()
    }

    fn last_nonce(&self, account: AccountId) -> u64 {
        if account.is_isolated() {
            return self.isolated_nonces.get(&account).copied().unwrap_or(0);
        }
        self.accounts[index_of(account)].1
    }

    fn next_nonce(&mut self, account: AccountId) -> Nonce {
        let last = if account.is_isolated() {
            self.isolated_nonces.entry(account).or_default()
        } else {
            &mut self.accounts[index_of(account)].1
        };
        *last += 1;
        Nonce(*last)
    }
}

fn index_of(account: AccountId) -> usize {
    usize::try_from(account.0 - 1).unwrap()
}

/// `part`/128 of the amount, at least 1: up to twice of it.
fn share(amount: i128, part: u8) -> u128 {
    (amount.unsigned_abs() * u128::from(part) / 128).max(1)
}

impl Life {
    /// The insurance fund owes cash against a complete set of outcomes and trades one of them, while somebody withdraws a
    /// profit in the same frame.
    pub(crate) fn fund_trades_while_a_profit_leaves() {
        let plan = EventPlan {
            outcomes: 2,
            ticks: 1_000,
            quantum: 10,
            taker_fee: 0,
            maker_fee: 0,
            venue: 0,
            curve: false,
            restricted: false,
            isolated_only: false,
            position_cap: 0,
            open_interest_cap: 0,
        };
        let mut life = Self::begin(&[plan.clone(), plan]);
        let [fund, winner, other] = [AccountId::INSURANCE, AccountId(3), AccountId(5)];
        // 100 lots of each outcome cost the fund all it has and are worth that for certain.
        for outcome in 0..2 {
            life.trade(fund, other, MarketId::new(EventId(1), outcome), 100, 500);
        }
        life.sign_withdraw(fund, 900_000);
        life.trade(winner, other, MarketId::new(EventId(2), 0), 100, 100);
        life.frame(1_000, 0, 0);
        life.resolve(1, 0);
        life.frame(1_000, u8::MAX, 0);
        let profit = life.engine.account(winner).unwrap().available.0;
        assert!(profit > 200_000_000, "more than was paid in");

        life.trade(other, fund, MarketId::new(EventId(1), 0), 1, 500);
        life.sign_withdraw(winner, profit.unsigned_abs());
        life.frame(1_000, 0, 0);
        assert_eq!(life.engine.account(winner).unwrap().cash, Atoms(0));
        life.everybody_leaves();
    }

    fn trade(&mut self, buyer: AccountId, seller: AccountId, market: MarketId, lots: u64, price: u64) {
        for (account, side) in [(seller, Side::Sell), (buyer, Side::Buy)] {
            let order = Order {
                account,
                market,
                side,
                kind: OrderKind::GoodTillCancelled,
                reduce_only: false,
                size: Lots(lots),
                price: Ticks(price),
                nonce: self.next_nonce(account),
                expiry: TimeMs(0),
                max_fee: Ppm(0),
                builder: 0,
                builder_fee: Ppm(0),
            };
            let accepted = self.totals.accepted;
            let signed = self.key(self.owner_index(account)).sign_typed(&self.domain, order);
            self.apply(Command::place(signed));
            assert_eq!(self.totals.accepted, accepted + 1);
        }
    }
}
