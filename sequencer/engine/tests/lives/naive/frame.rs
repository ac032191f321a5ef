//! Frames: what one batch settles. One is sealed as the next one opens.

use super::losses::tell_cut;
use super::*;

/// One side of one fill of the open frame.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) signed: Signed<Order>,
    pub(super) price: u64,
    pub(super) size: u64,
    pub(super) fee: i128,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Open {
    pub(super) time: u64,
    inbox: Vec<InboxItem>,
    pub(super) prices: Vec<PriceUpdate>,
    pub(super) funding: Vec<FundingUpdate>,
    pub(super) redemptions: Vec<Redemption>,
    pub(super) rescues: Vec<Rescue>,
    pub(super) parts: Vec<Part>,
    pub(super) withdrawals: Vec<Signed<Withdraw>>,
    pub(super) transfers: Vec<Signed<Transfer>>,
    /// Whose positions grew, and who spent cash on what is not margined.
    pub(super) grew: BTreeSet<AccountId>,
    pub(super) spent: BTreeSet<AccountId>,
    /// Atoms of assets that were bought or transferred, and of which a sale had to reduce.
    pub(super) came: BTreeMap<(AccountId, FeedId), i128>,
    pub(super) reduced: BTreeSet<(AccountId, FeedId)>,
}

impl Open {
    fn is_empty(&self) -> bool {
        let said = self.inbox.len() + self.prices.len() + self.funding.len();
        let happened = self.redemptions.len() + self.rescues.len() + self.parts.len();
        said + happened + self.withdrawals.len() + self.transfers.len() == 0
    }
}

impl Naive {
    pub(super) fn frame(
        &mut self,
        time: TimeMs,
        inbox: &[InboxItem],
        prices: &[PriceUpdate],
        log_hash: Hash,
        out: &mut Vec<Event>,
    ) {
        self.seal(log_hash, out);
        self.open.time = self.open.time.max(time.0);
        self.expire(out);
        self.fire_switches(out);
        for item in inbox {
            self.consume(item, out);
            self.open.inbox.push(item.clone());
        }
        self.keep_hours(out);
        let turned_stale = self.take_prices(prices, out);
        self.move_funding(out);
        for feed in turned_stale {
            let here = self.listings.iter().filter(|(_, listing)| listing.feed == Some(feed));
            for event in here.map(|(event, _)| *event).collect::<Vec<_>>() {
                self.keep_reducing(event, out);
            }
        }
        for item in inbox {
            match &item.payload {
                InboxPayload::ForcedWithdrawal { account, token, amount } => {
                    self.force_withdrawal(*account, *token, *amount, out);
                }
                InboxPayload::ForcedLiquidation(request) => self.force_liquidation(request, out),
                _ => {}
            }
        }
        self.redeem(out);
        let failing = self.rescue(out);
        self.review(&failing, out);
        self.offer_forced_closes(out);
        self.hold_auctions(out);
        self.open_plans(out);
    }

    /// What the open frame's lines bring is settled; an empty one is none.
    fn seal(&mut self, log_hash: Hash, out: &mut Vec<Event>) {
        let (accrued, repaid) = self.frame_fees();
        let (pool, paid) = self.settled_pool(repaid);
        for (account, market) in self.holders() {
            let entry = self.entry(account, market);
            if self.ends_position(account, market) {
                self.forced.remove(&(account, market));
            }
            self.accounts.get_mut(&account).unwrap().entries.insert(market, entry);
        }
        self.note_traded();
        let open = std::mem::take(&mut self.open);
        self.open.time = open.time;
        if open.is_empty() {
            return;
        }
        self.frames += 1;
        let used: BTreeSet<TreeId> = open.parts.iter().filter_map(|part| part.signed.signature.tree()).collect();
        out.push(Event::FrameSealed(Box::new(Frame {
            id: self.frames,
            time: TimeMs(open.time),
            sequence: self.commands,
            log_hash,
            inbox: open.inbox,
            prices: open.prices,
            funding: open.funding,
            redemptions: open.redemptions,
            rescues: open.rescues,
            trees: used.into_iter().map(|number| (number, self.trees[&number].clone())).collect(),
            markets: net(&open.parts),
            withdrawals: open.withdrawals,
            transfers: open.transfers,
        })));
        for (account, amount) in accrued {
            self.accounts.get_mut(&account).unwrap().cash += amount.0;
            out.push(Event::FeesPaid { account, amount });
        }
        if repaid != 0 {
            out.push(Event::LossesRepaid { amount: Atoms(repaid) });
        }
        self.pool = pool;
        for (account, claim, paid) in paid {
            tell_cut(account, claim, paid, out);
        }
    }

    /// Who traded which perpetual in the open frame.
    fn holders(&self) -> BTreeSet<(AccountId, MarketId)> {
        let traded = self.open.parts.iter().map(|part| (part.signed.message.account, part.signed.message.market));
        traded.filter(|(_, market)| self.listing(*market).kind == MarketKind::Perpetual).collect()
    }

    /// Lots of a perpetual and the average price at which they were entered, the open frame's lines included. What only reduces
    /// leaves the price as it was; what turns a position round begins anew. It rounds down at each line.
    pub(crate) fn entry(&self, account: AccountId, market: MarketId) -> (i128, i128) {
        *self.entries(account, market).last().unwrap()
    }

    /// The same as settled, and after each line of the open frame.
    fn entries(&self, account: AccountId, market: MarketId) -> Vec<(i128, i128)> {
        let mut all = vec![self.accounts[&account].entries.get(&market).copied().unwrap_or_default()];
        let lines = net(&self.open.parts).into_iter().filter(|(of, _)| *of == market).flat_map(|(_, lines)| lines);
        for line in lines.filter(|line| line.order.message.account == account) {
            let (lots, notional) = (i128::from(line.filled.0), i128::try_from(line.notional).unwrap());
            all.push(entered(*all.last().unwrap(), sign(line.order.message.side) * lots, notional));
        }
        all
    }

    /// Whether a line of the open frame ends the position that was there before it.
    fn ends_position(&self, account: AccountId, market: MarketId) -> bool {
        let entries = self.entries(account, market);
        entries.windows(2).any(|pair| pair[0].0 != 0 && pair[0].0.signum() != pair[1].0.signum())
    }

    /// A close that an owner has forced, once the open frame is settled.
    pub(crate) fn forced_close(&self, account: AccountId, market: MarketId) -> Option<rescue::ForcedClose> {
        self.forced.get(&(account, market)).copied().filter(|_| !self.ends_position(account, market))
    }

    fn expire(&mut self, out: &mut Vec<Event>) {
        let resting = self.orders.iter().map(|resting| resting.signed.message);
        let all = resting.chain(self.waiting.iter().map(|waiting| waiting.signed.message));
        let mut expired: Vec<_> = all.map(|order| (order.expiry, order.account, order.nonce)).collect();
        expired.retain(|(expiry, ..)| expiry.0 != 0 && expiry.0 < self.open.time);
        expired.sort();
        for (_, account, nonce) in expired {
            self.cancel_anywhere(account, nonce, CancelReason::Expired, out);
        }
    }

    fn fire_switches(&mut self, out: &mut Vec<Event>) {
        let mut due: Vec<_> = self.switches.iter().map(|(account, time)| (*time, *account)).collect();
        due.retain(|(time, _)| *time <= self.open.time);
        due.sort();
        for (_, account) in due {
            self.switches.remove(&account);
            self.cancel_all_of(account, CancelReason::DeadMan, out);
        }
    }

    fn keep_hours(&mut self, out: &mut Vec<Event>) {
        for (event, listing) in &mut self.listings {
            let Some(hours) = listing.hours else { continue };
            let open = hours.contains(TimeMs(self.open.time));
            if listing.closed == open {
                listing.closed = !open;
                out.push(Event::SessionTurned { event: *event, open });
            }
        }
    }
}

/// A position and its average entry price after so many signed lots more, which cost so many tick·lots.
pub(super) fn entered((before, price): (i128, i128), lots: i128, notional: i128) -> (i128, i128) {
    let after = before + lots;
    let price = if after == 0 {
        0
    } else if before.signum() * lots.signum() >= 0 {
        (price * before.abs() + notional) / after.abs()
    } else if after.signum() == before.signum() {
        price
    } else {
        notional / lots.abs()
    };
    (after, price)
}

/// One line for each order, in the order of its first fill, by market. Once a reduce-only order of an account has filled, only
/// the account's last line grows, as the contract judges each line by what stands before it.
pub(super) fn net(parts: &[Part]) -> Vec<(MarketId, Vec<FillLine>)> {
    let mut markets: BTreeMap<MarketId, Vec<FillLine>> = BTreeMap::new();
    let mut reduced = BTreeSet::new();
    for Part { signed, price, size, fee } in parts {
        let Order { account, market, .. } = signed.message;
        let lines = markets.entry(market).or_default();
        let mut own = lines.iter().rev().filter(|line| line.order.message.account == account);
        let grows = if reduced.contains(&(account, market)) {
            own.next().is_some_and(|last| last.order == *signed)
        } else {
            own.any(|line| line.order == *signed)
        };
        if !grows {
            lines.push(FillLine { order: *signed, filled: Lots(0), notional: 0, fee: Atoms(0) });
        }
        if signed.message.reduce_only {
            reduced.insert((account, market));
        }
        let line = lines.iter_mut().rev().find(|line| line.order == *signed).unwrap();
        line.filled.0 += size;
        line.notional += u128::from(*price) * u128::from(*size);
        line.fee.0 += fee;
    }
    markets.into_iter().collect()
}
