//! The open frame: what has happened since the last seal, netted as one batch will settle it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xos_types::{
    AccountId, Atoms, EventId, FillLine, Frame, Hash, InboxItem, Lots, MarketId, Nonce, Order, Redemption, Side,
    Signed, Ticks, TimeMs, Withdraw,
};

use crate::distinct::{Distinct, Key};
use crate::gas::{self, Word};

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

/// Words of an account that lines of a frame share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Touched {
    /// What its positions in the event take to be judged.
    Event(EventId),
    /// The bits of 256 nonces.
    Nonces(u64),
    /// What it gets as a referrer.
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
    redemptions: Vec<Redemption>,
    markets: BTreeMap<MarketId, Vec<FillLine>>,
    withdrawals: Vec<Signed<Withdraw>>,
    /// What of accounts the batch will have written.
    touched: Distinct<(AccountId, Touched)>,
    gas: u64,
}

impl OpenFrame {
    pub(crate) fn new(id: u64, time: TimeMs) -> Self {
        Self {
            id,
            time,
            inbox: Vec::new(),
            redemptions: Vec::new(),
            markets: BTreeMap::new(),
            withdrawals: Vec::new(),
            touched: Distinct::default(),
            gas: gas::BATCH,
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

    pub(crate) fn consume(&mut self, item: InboxItem) {
        self.gas += gas::inbox_item(&item.payload);
        self.inbox.push(item);
    }

    pub(crate) fn redeem(&mut self, redemption: Redemption, outcomes: u8) {
        self.gas += gas::redemption(outcomes);
        self.redemptions.push(redemption);
    }

    pub(crate) fn withdraw(&mut self, withdraw: Signed<Withdraw>) {
        self.gas += gas::WITHDRAWAL;
        self.withdrawals.push(withdraw);
    }

    /// Nets a fill into the order's line, and opens the line at the order's first fill of the frame; `market_state` and what
    /// `open` returns say what that will cost.
    pub(crate) fn fill(
        &mut self,
        (account, nonce, market): (AccountId, Nonce, MarketId),
        line: &mut LineRef,
        trade: Trade,
        market_state: gas::MarketState,
        open: impl FnOnce() -> (Signed<Order>, gas::LineState),
    ) {
        let Trade { price, size, fee } = trade;
        let notional = u128::from(price.0) * u128::from(size.0);
        let lines = self.markets.entry(market).or_insert_with(|| {
            self.gas += gas::market(market_state);
            Vec::new()
        });
        let is_its = |line: &&mut FillLine| (line.order.message.account, line.order.message.nonce) == (account, nonce);
        match lines.get_mut(line.0 as usize).filter(is_its) {
            Some(line) => {
                line.filled = Lots(line.filled.0 + size.0);
                line.notional += notional;
                line.fee += Atoms(fee);
            }
            None => {
                let index = u32::try_from(lines.len()).expect("a frame is sealed long before 2^32 lines");
                *line = LineRef(index);
                let (order, state) = open();
                lines.push(FillLine { order, filled: size, notional, fee: Atoms(fee) });
                let state = self.warm(&order.message, state);
                self.gas += gas::line(state);
                if self.touched.insert((account, Touched::Event(market.event()))) {
                    self.gas += gas::touch(state);
                }
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
        if let Some((payee, word)) = &mut state.referrer
            && is_warm(*payee, Touched::Referrals)
        {
            *word = Word::Warm;
        }
        state
    }

    /// The frame to settle, or nothing if nothing happened. What remains is the next frame, empty.
    pub(crate) fn seal(&mut self, sequence: u64, log_hash: Hash) -> Option<Frame> {
        // What is filled in every frame keeps its memory.
        self.touched.clear();
        let next = Self { touched: std::mem::take(&mut self.touched), ..Self::new(self.id, self.time) };
        let Self { id, time, inbox, redemptions, markets, withdrawals, .. } = std::mem::replace(self, next);
        if inbox.is_empty() && redemptions.is_empty() && markets.is_empty() && withdrawals.is_empty() {
            return None;
        }
        self.id += 1;
        let markets: Vec<_> = markets.into_iter().collect();
        for (market, lines) in &markets {
            assert_sums_to_zero(*market, lines);
        }
        Some(Frame { id, time, sequence, log_hash, inbox, redemptions, markets, withdrawals })
    }
}

/// What the contract checks too: a market only moves lots and cash between accounts.
fn assert_sums_to_zero(market: MarketId, lines: &[FillLine]) {
    let sum = |side: Side| {
        lines
            .iter()
            .filter(|line| line.order.message.side == side)
            .fold((0u128, 0u128), |(lots, notional), line| (lots + u128::from(line.filled.0), notional + line.notional))
    };
    assert_eq!(sum(Side::Buy), sum(Side::Sell), "lots and notional bought and sold in market {market} are equal");
}
