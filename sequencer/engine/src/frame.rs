//! The open frame: what has happened since the last seal, netted as one batch will settle it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use xos_types::{
    AccountId, Atoms, EventId, FillLine, Frame, FundingUpdate, Hash, InboxItem, Lots, MarketId, Nonce, Order, Ppm,
    PriceUpdate, Redemption, Rescue, Signed, SignedTree, Ticks, TimeMs, Transfer, TreeId, Withdraw,
};

use crate::distinct::{Distinct, Key};
use crate::fees::{builder_fee, builder_reserve};
use crate::gas::{self, Word};
use crate::terms::Terms;
use crate::trees::Trees;

/// Where an order's line lies among its market's, if the line there names the order; lines of earlier frames do not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineRef(u32);

impl LineRef {
    /// The line of an order in a frame that is sealed.
    pub(crate) const EARLIER: Self = Self(u32::MAX - 1);

    /// Whether the order has filled, in this frame or an earlier one.
    pub(crate) fn has_filled(self) -> bool {
        self.0 != u32::MAX
    }
}

impl Default for LineRef {
    /// No line.
    fn default() -> Self {
        Self(u32::MAX)
    }
}

/// What one order gave or took in one fill.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trade {
    pub(crate) price: Ticks,
    pub(crate) size: Lots,
    pub(crate) fee: i128,
}

/// What a fill's line had before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Netted {
    /// Tick·lots.
    before: u128,
    builder_fee: Ppm,
}

impl Netted {
    /// What the fill adds to its builder's fee: the contract charges a line once, and rounds down once.
    pub(crate) fn builder_fee(self, terms: &Terms, trade: Trade) -> i128 {
        if self.builder_fee.0 == 0 {
            return 0;
        }
        let notional = u128::from(trade.price.0) * u128::from(trade.size.0);
        builder_fee(terms, self.before + notional, self.builder_fee) - builder_fee(terms, self.before, self.builder_fee)
    }

    /// What is held back of each lot for it while an order rests at `price`.
    pub(crate) fn builder_reserve(self, terms: &Terms, price: Ticks) -> i128 {
        builder_reserve(terms, price, self.builder_fee)
    }
}

/// Words of an account that lines of a frame share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Touched {
    /// What its positions in the event take to be judged.
    Event(EventId),
    /// The bits of 256 nonces.
    Nonces(u64),
    /// What it gets as a referrer or builder.
    Referrals,
}

impl Key for (AccountId, Touched) {
    fn number(&self) -> u64 {
        let what = match self.1 {
            Touched::Event(event) => u64::from(event.0) << 2,
            Touched::Nonces(word) => word << 2 | 1,
            Touched::Referrals => 2,
        };
        self.0.0.rotate_left(32) ^ what
    }
}

/// Everything since the last seal.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OpenFrame {
    /// The id that it gets if it is sealed with anything in it.
    id: u64,
    pub(crate) time: TimeMs,
    inbox: Vec<InboxItem>,
    prices: Vec<PriceUpdate>,
    funding: Vec<FundingUpdate>,
    redemptions: Vec<Redemption>,
    rescues: Vec<Rescue>,
    /// Those that lines refer to, whatever becomes of their other orders.
    trees: BTreeMap<TreeId, SignedTree>,
    markets: BTreeMap<MarketId, Vec<FillLine>>,
    withdrawals: Vec<Signed<Withdraw>>,
    transfers: Vec<Signed<Transfer>>,
    /// Isolated accounts that transfers have opened.
    opened: BTreeSet<AccountId>,
    /// The last line of every account in every market where a reduce-only order of it filled; see [`OpenFrame::fill`].
    reduced: BTreeMap<(AccountId, MarketId), u32>,
    /// What of accounts the batch will have written.
    touched: Distinct<(AccountId, Touched)>,
    gas: u64,
    /// Room that a market's lines get at once: as many as the busiest market had in the last frame. It changes nothing else.
    #[serde(skip)]
    room: usize,
}

impl OpenFrame {
    pub(crate) fn new(id: u64, time: TimeMs) -> Self {
        Self {
            id,
            time,
            inbox: Vec::new(),
            prices: Vec::new(),
            funding: Vec::new(),
            redemptions: Vec::new(),
            rescues: Vec::new(),
            trees: BTreeMap::new(),
            markets: BTreeMap::new(),
            withdrawals: Vec::new(),
            transfers: Vec::new(),
            opened: BTreeSet::new(),
            reduced: BTreeMap::new(),
            touched: Distinct::default(),
            gas: gas::BATCH,
            room: 0,
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn gas(&self) -> u64 {
        self.gas
    }

    /// Where each order's line is.
    pub(crate) fn line_refs(&self) -> BTreeMap<(MarketId, AccountId, Nonce), LineRef> {
        let lines = self.markets.iter().flat_map(|(market, lines)| (0..).zip(lines).map(move |line| (*market, line)));
        let name = |line: &FillLine| (line.order.message.account, line.order.message.nonce);
        lines
            .map(|(market, (index, line))| {
                let (account, nonce) = name(line);
                ((market, account, nonce), LineRef(index))
            })
            .collect()
    }

    /// The lines of every market that traded.
    pub(crate) fn markets(&self) -> &BTreeMap<MarketId, Vec<FillLine>> {
        &self.markets
    }

    /// Whether an order of the account has filled in the market.
    pub(crate) fn has_traded(&self, account: AccountId, market: MarketId) -> bool {
        let lines = self.markets.get(&market);
        lines.is_some_and(|lines| lines.iter().any(|line| line.order.message.account == account))
    }

    pub(crate) fn consume(&mut self, item: InboxItem) {
        self.gas += gas::inbox_item(&item.payload);
        self.inbox.push(item);
    }

    pub(crate) fn price(&mut self, update: PriceUpdate) {
        self.gas += gas::price(&update);
        self.prices.push(update);
    }

    pub(crate) fn fund(&mut self, update: FundingUpdate) {
        self.gas += gas::FUNDING;
        self.funding.push(update);
    }

    /// Counts gas that something of the frame costs beside what is counted with it.
    pub(crate) fn charge(&mut self, gas: u64) {
        self.gas += gas;
    }

    pub(crate) fn redeem(&mut self, redemption: Redemption, gas: u64) {
        self.gas += gas;
        self.redemptions.push(redemption);
    }

    /// A step of a rescue, and what it costs.
    pub(crate) fn rescue(&mut self, rescue: Rescue, gas: u64) {
        self.gas += gas;
        self.rescues.push(rescue);
    }

    pub(crate) fn withdrawals(&self) -> &[Signed<Withdraw>] {
        &self.withdrawals
    }

    pub(crate) fn transfers(&self) -> &[Signed<Transfer>] {
        &self.transfers
    }

    /// An isolated account was opened.
    pub(crate) fn open_account(&mut self, account: AccountId) {
        self.opened.insert(account);
    }

    /// Whether the frame has opened that isolated account.
    pub(crate) fn has_opened(&self, account: AccountId) -> bool {
        self.opened.contains(&account)
    }

    pub(crate) fn withdraw(&mut self, withdraw: Signed<Withdraw>) {
        self.gas += gas::WITHDRAWAL;
        self.withdrawals.push(withdraw);
    }

    pub(crate) fn transfer(&mut self, transfer: Signed<Transfer>) {
        self.gas += gas::transfer(&transfer.message);
        self.transfers.push(transfer);
    }

    /// Whether something has traded in the market.
    pub(crate) fn has_lines(&self, market: MarketId) -> bool {
        self.markets.contains_key(&market)
    }

    /// Makes room for a market's lines; `state` says what having some will cost.
    pub(crate) fn open_lines(&mut self, market: MarketId, state: gas::MarketState) {
        self.gas += gas::market(state);
        self.markets.insert(market, Vec::with_capacity(self.room));
    }

    /// Nets a fill into the order's line, and opens the line at the order's first fill of the frame; what `open` returns says
    /// what that will cost. Returns what of the order the line had before, for its builder's fee.
    ///
    /// The contract takes lines one after the other and refuses a reduce-only one that does not reduce *there*. So once such an
    /// order of an account has filled, only the account's last line in the market still grows, and any other of its orders that
    /// fills gets a further line: what stands before a line is then what was there when its fills happened.
    ///
    /// # Panics
    /// If the market's lines were not [opened](Self::open_lines).
    pub(crate) fn fill(
        &mut self,
        trees: &Trees,
        (account, nonce, market): (AccountId, Nonce, MarketId),
        line: &mut LineRef,
        trade: Trade,
        open: impl FnOnce() -> (Signed<Order>, gas::LineState),
    ) -> Netted {
        let Trade { price, size, fee } = trade;
        let notional = u128::from(price.0) * u128::from(size.0);
        let lines = self.markets.get_mut(&market).expect("whoever trades has opened the market's lines");
        let last = if self.reduced.is_empty() { None } else { self.reduced.get_mut(&(account, market)) };
        let is_its = |found: &&mut FillLine| {
            (found.order.message.account, found.order.message.nonce) == (account, nonce)
                && last.as_ref().is_none_or(|last| **last == line.0)
        };
        match lines.get_mut(line.0 as usize).filter(is_its) {
            Some(line) => {
                let netted = Netted { before: line.notional, builder_fee: line.order.message.builder_fee };
                line.filled = Lots(line.filled.0 + size.0);
                line.notional += notional;
                line.fee += Atoms(fee);
                netted
            }
            None => {
                let index = u32::try_from(lines.len()).expect("a frame is sealed long before 2^32 lines");
                *line = LineRef(index);
                let (order, state) = open();
                lines.push(FillLine { order, filled: size, notional, fee: Atoms(fee) });
                match last {
                    Some(last) => *last = index,
                    None if order.message.reduce_only => {
                        self.reduced.insert((account, market), index);
                    }
                    None => {}
                }
                let state = self.warm(&order.message, state);
                let tree = trees.of(&order.signature);
                self.gas += gas::line(state) + gas::evidence(tree.map(|(_, tree)| tree.depth()));
                if let Some((number, tree)) = tree
                    && !self.trees.contains_key(&number)
                {
                    self.gas += gas::TREE;
                    self.trees.insert(number, tree.clone());
                }
                if self.touched.insert((account, Touched::Event(market.event()))) {
                    self.gas += gas::touch(state);
                }
                Netted { before: 0, builder_fee: order.message.builder_fee }
            }
        }
    }

    /// The same state, where earlier lines of the frame write the same words.
    fn warm(&mut self, order: &Order, mut state: gas::LineState) -> gas::LineState {
        let mut is_warm = |account, what| !self.touched.insert((account, what));
        // An order that filled in an earlier frame has its bit already, and writes nothing to the word.
        if !state.partly_filled && is_warm(order.account, Touched::Nonces(order.nonce.0 / 256)) {
            state.nonce_word = Word::Warm;
        }
        for (payee, word) in [&mut state.referrer, &mut state.builder].into_iter().flatten() {
            if is_warm(*payee, Touched::Referrals) {
                *word = Word::Warm;
            }
        }
        state
    }

    /// The frame to settle, or nothing if nothing happened. What remains is the next frame, empty.
    pub(crate) fn seal(&mut self, sequence: u64, log_hash: Hash) -> Option<Frame> {
        // What is filled in every frame keeps its memory.
        self.touched.clear();
        let room = self.markets.values().map(Vec::len).max().unwrap_or(self.room);
        let next = Self { touched: std::mem::take(&mut self.touched), room, ..Self::new(self.id, self.time) };
        let sealed = std::mem::replace(self, next);
        let Self { id, time, inbox, prices, funding, redemptions, rescues, .. } = sealed;
        let Self { trees, markets, withdrawals, transfers, .. } = sealed;
        let nothing_said = inbox.is_empty() && prices.is_empty() && funding.is_empty();
        let nothing_left = withdrawals.is_empty() && transfers.is_empty();
        let nothing_happened = redemptions.is_empty() && rescues.is_empty() && markets.is_empty();
        if nothing_said && nothing_left && nothing_happened {
            return None;
        }
        self.id += 1;
        let markets: Vec<_> = markets.into_iter().collect();
        for (market, lines) in &markets {
            assert_sums_to_zero(*market, lines);
        }
        Some(Frame {
            id,
            time,
            sequence,
            log_hash,
            inbox,
            prices,
            funding,
            redemptions,
            rescues,
            trees: trees.into_iter().collect(),
            markets,
            withdrawals,
            transfers,
        })
    }
}

/// What the contract checks too: a market only moves lots and cash between accounts.
fn assert_sums_to_zero(market: MarketId, lines: &[FillLine]) {
    let mut sums = [(0u128, 0u128); 2];
    for line in lines {
        let (lots, notional) = &mut sums[line.order.message.side as usize];
        *lots += u128::from(line.filled.0);
        *notional += line.notional;
    }
    let [bought, sold] = sums;
    assert_eq!(bought, sold, "lots and notional bought and sold in market {market} are equal");
}
