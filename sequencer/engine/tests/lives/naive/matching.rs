//! An order meets those that rest: the best price first, at one price the oldest.

use super::*;

/// What an arriving order and one that rests do with each other.
enum Meeting {
    /// They trade so many lots.
    Trade(u64),
    /// The resting one may not, and leaves.
    Leaves(CancelReason),
    /// The arriving one may not, and goes no further.
    Stops(CancelReason),
}

impl Naive {
    pub(super) fn execute(&mut self, signed: Signed<Order>, instructions: Instructions, out: &mut Vec<Event>) {
        let order = signed.message;
        self.accounts.get_mut(&order.account).unwrap().used.insert(order.nonce.0);
        out.push(Event::Accepted { order });
        let arriving = self.arriving(signed, instructions, order.size.0);
        let left = self.enter(arriving, instructions, out);
        self.settle_down(left, out);
    }

    /// So many lots of an order, as they come to the book. Whoever cannot carry them in cash, or not at all, is watched.
    pub(super) fn arriving(&mut self, signed: Signed<Order>, instructions: Instructions, lots: u64) -> Resting {
        self.arrivals += 1;
        let (standing, fee) = self.at_its_limit(&Order { size: Lots(lots), ..signed.message }, instructions);
        if self.at_worst(standing.account, Some((standing, fee))).available() < 0 {
            self.watch(standing.account);
        }
        let (price, remaining, size, arrival) = (standing.price.0, lots, lots, self.arrivals);
        Resting { signed, price, remaining, shown: lots, display: 0, size, traded: 0, arrival }
    }

    /// Trades as far as it goes; what is left, and why it must not rest.
    pub(super) fn enter(
        &mut self,
        mut taker: Resting,
        instructions: Instructions,
        out: &mut Vec<Event>,
    ) -> (Resting, Option<CancelReason>) {
        let order = taker.signed.message;
        let Order { account, nonce, market, side, .. } = order;
        let price = Ticks(taker.price);
        let waits = self.phase(market) == Phase::Auction;
        let mut stopped = None;
        for _ in 0..MATCHES_MAX {
            let mut met = self.opposite(&order, price);
            if waits {
                met.retain(|index| self.orders[*index].signed.message.account == account);
                met.sort_by_key(|index| self.orders[*index].signed.message.nonce);
            }
            let Some(&index) = met.first() else { break };
            if taker.remaining == 0 || stopped.is_some() {
                break;
            }
            let maker = self.orders[index].signed.message;
            let reason = CancelReason::SelfTrade;
            if maker.account == account {
                let own = self.orders[index].remaining;
                let stops = match instructions.self_trade {
                    SelfTrade::CancelMaker => false,
                    SelfTrade::CancelTaker | SelfTrade::CancelBoth => true,
                    SelfTrade::Decrement => taker.remaining <= own,
                };
                match instructions.self_trade {
                    SelfTrade::CancelTaker => {}
                    SelfTrade::Decrement if taker.remaining < own => self.reduce(index, taker.remaining, reason, out),
                    _ => self.cancel(account, maker.nonce, reason, out),
                }
                if instructions.self_trade == SelfTrade::Decrement && !stops {
                    taker.remaining -= own;
                    taker.size -= own;
                    let (by, remaining) = (Lots(own), Lots(taker.remaining));
                    out.push(Event::Reduced { account, nonce, market, side, price, by, remaining, reason });
                }
                stopped = stops.then_some(reason);
                continue;
            }
            match self.meeting(&taker, &self.orders[index]) {
                Meeting::Trade(size) => self.trade(index, &mut taker, size, out),
                Meeting::Leaves(reason) => self.cancel(maker.account, maker.nonce, reason, out),
                Meeting::Stops(reason) => stopped = Some(reason),
            }
        }
        if taker.remaining > 0 && stopped.is_none() {
            let crosses = !waits && !self.opposite(&order, price).is_empty();
            stopped = crosses.then_some(CancelReason::MatchLimit);
        }
        (taker, stopped)
    }

    /// What two orders of different accounts do with each other, at the resting one's price.
    fn meeting(&self, taker: &Resting, maker: &Resting) -> Meeting {
        let mut size = i128::from(maker.shown.min(taker.remaining));
        size = size.min(self.allowed(taker));
        if size == 0 {
            return Meeting::Stops(CancelReason::OnlyReducing);
        }
        size = size.min(self.allowed(maker));
        if size == 0 {
            return Meeting::Leaves(CancelReason::OnlyReducing);
        }
        let size = size.try_into().unwrap();
        let [taking, making] =
            [taker, maker].map(|party| Order { price: Ticks(maker.price), size: Lots(size), ..party.signed.message });
        if self.exceeds_open_interest(&taking, &making) {
            return Meeting::Stops(CancelReason::OpenInterestCap);
        }
        let terms = self.listing(making.market).terms;
        if !self.may_trade(&making, terms.maker_fee.fee()) {
            return Meeting::Leaves(CancelReason::Margin);
        }
        if !self.may_trade(&taking, terms.taker_fee) {
            return Meeting::Stops(CancelReason::Margin);
        }
        Meeting::Trade(size)
    }

    /// Lots that an order may trade as its account stands, if it must reduce or sells an asset.
    pub(super) fn allowed(&self, party: &Resting) -> i128 {
        let Order { account, market, side, reduce_only, .. } = party.signed.message;
        let closable = if reduce_only { self.closable(account, market, side) } else { i128::MAX };
        let sells = self.listing(market).kind == MarketKind::Spot && side == Side::Sell;
        closable.min(if sells { self.sellable(account, market, reduce_only) } else { i128::MAX })
    }

    /// Whether a trade takes what is open in the market above what may be.
    pub(super) fn exceeds_open_interest(&self, one: &Order, other: &Order) -> bool {
        let listing = self.listing(one.market);
        let opened = [one, other].map(|order| {
            let before = self.accounts[&order.account].lots(order.market);
            (before + sign(order.side) * i128::from(order.size.0)).max(0) - before.max(0)
        });
        let opened = opened[0] + opened[1];
        let open = self.open_interest(one.market) + opened;
        listing.kind != MarketKind::Spot && opened > 0 && open > listing.open_max().into()
    }

    /// What is left rests, or is cancelled.
    pub(super) fn settle_down(&mut self, (mut taker, stopped): (Resting, Option<CancelReason>), out: &mut Vec<Event>) {
        let Order { account, nonce, market, side, kind, reduce_only, .. } = taker.signed.message;
        let (price, remaining) = (Ticks(taker.price), Lots(taker.remaining));
        let useless = reduce_only && self.closable(account, market, side) == 0;
        let useless = useless.then_some(CancelReason::OnlyReducing);
        let immediate = (kind == OrderKind::ImmediateOrCancel).then_some(CancelReason::Immediate);
        if taker.remaining == 0 {
            self.ended(account, nonce, out);
        } else if let Some(reason) = stopped.or(useless).or(immediate) {
            out.push(Event::Cancelled { account, nonce, market, side, price, remaining, reason });
            self.ended(account, nonce, out);
        } else {
            taker.shown = if taker.display == 0 { taker.remaining } else { taker.display.min(taker.remaining) };
            self.orders.push(taker);
            out.push(Event::Rested { account, nonce, market, side, price, remaining });
            self.trim(account, market, out);
        }
    }

    /// Trades at the resting order's price.
    fn trade(&mut self, index: usize, taker: &mut Resting, size: u64, out: &mut Vec<Event>) {
        let (maker, order) = (self.orders[index].signed.message, taker.signed.message);
        let (market, price) = (maker.market, self.orders[index].price);
        let listing = self.listing(market).clone();
        let base = listing.base(price, size);
        let (taker_rate, maker_rate) = (self.taker_rate(&order), self.maker_rate(&maker));
        let taker_fee = taker.charge(base, taker_rate);
        let share = match self.referrer_of(order.account) {
            Some(_) => self.venues[&listing.terms.venue].referrer_share,
            None => Ppm(0),
        };
        let most = taker_fee - ceil(taker_fee * i128::from(share.0), MILLION);
        let rebate = (base * i128::from(listing.terms.maker_fee.rebate().0) / MILLION).min(most);
        let maker_fee = self.orders[index].charge(base, maker_rate) - rebate;
        self.orders[index].fill(size);
        taker.fill(size);
        for (signed, fee) in [(self.orders[index].signed, maker_fee), (taker.signed, taker_fee)] {
            self.give(frame::Part { signed, price, size, fee });
        }
        out.push(Event::Filled(Fill {
            market,
            price: Ticks(price),
            size: Lots(size),
            taker_side: order.side,
            maker: maker.account,
            maker_nonce: maker.nonce,
            maker_fee: Atoms(maker_fee),
            maker_remaining: Lots(self.orders[index].remaining),
            taker: order.account,
            taker_nonce: order.nonce,
            taker_fee: Atoms(taker_fee),
        }));
        self.note_trade(market, price);
        let left = self.orders[index].remaining;
        self.orders.retain(|resting| resting.remaining > 0);
        self.refill(&maker, out);
        self.filled(&maker, size, out);
        if left == 0 {
            self.ended(maker.account, maker.nonce, out);
        }
        self.filled(&order, size, out);
    }

    /// What an order gets and gives in a trade.
    pub(super) fn give(&mut self, part: frame::Part) {
        let frame::Part { signed, price, size, fee } = part;
        let trade = Order { price: Ticks(price), size: Lots(size), ..signed.message };
        self.note_sale(&trade);
        if self.grows(&trade) {
            self.open.grew.insert(trade.account);
        }
        if self.spends(&trade) {
            self.open.spent.insert(trade.account);
        }
        let listing = self.listing(trade.market);
        if listing.kind == MarketKind::Spot && trade.side == Side::Buy {
            let (name, atoms) = ((trade.account, listing.feed.unwrap()), self.atoms(&trade));
            *self.open.came.entry(name).or_default() += atoms;
        }
        let after = self.after(&trade, fee);
        self.accounts.insert(trade.account, after);
        let before = self.builder_fees(trade.account);
        self.open.parts.push(part);
        *self.purse(trade.account, FeedId(0)) -= self.builder_fees(trade.account) - before;
    }
}
