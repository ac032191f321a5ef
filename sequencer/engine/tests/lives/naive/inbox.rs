//! What the chain says.

use super::*;

impl Naive {
    pub(super) fn consume(&mut self, item: &InboxItem, out: &mut Vec<Event>) {
        match &item.payload {
            InboxPayload::Deposit { account, owner, token, amount } => {
                self.deposit(*account, *owner, *token, *amount, out)
            }
            InboxPayload::EventOpened { event, config } => {
                self.listings.insert(*event, Listing::event(config));
                out.push(Event::EventOpened { event: *event, config: config.clone() });
            }
            InboxPayload::EventResolved { event, payouts } => {
                self.cancel_listing(*event, CancelReason::EventResolved, out);
                self.listings.get_mut(event).unwrap().payouts = Some(payouts.clone());
                out.push(Event::EventResolved { event: *event, payouts: payouts.clone() });
                self.queue_holders(*event);
            }
            InboxPayload::AssetSet { feed, config } => {
                let kept = Kept::Asset(*config);
                match self.feeds.get_mut(feed) {
                    Some(known) => known.kept = kept,
                    None => {
                        self.feeds.insert(*feed, Feed::new(kept, 0));
                    }
                }
                out.push(Event::AssetSet { feed: *feed, config: *config });
            }
            InboxPayload::SpotListed { market, config } => {
                self.listings.insert(market.event(), Listing::spot(config));
                out.push(Event::SpotListed { market: *market, config: config.clone() });
            }
            InboxPayload::PerpetualSet { market, feed, config } => {
                let kept = Kept::Perpetual(*market, config.clone());
                let listing = Listing::perpetual(*feed, config);
                if let Some(known) = self.feeds.get_mut(feed) {
                    // Orders were accepted under other terms.
                    known.kept = kept;
                    self.cancel_listing(market.event(), CancelReason::TermsChanged, out);
                    self.listings.get_mut(&market.event()).unwrap().terms = listing.terms;
                } else {
                    self.feeds.insert(*feed, Feed::new(kept, self.open.time));
                    self.listings.insert(market.event(), listing);
                }
                out.push(Event::PerpetualSet { market: *market, feed: *feed, config: config.clone() });
            }
            InboxPayload::VenueSet { venue, config } => {
                self.venues.insert(*venue, *config);
                out.push(Event::VenueSet { venue: *venue, config: *config });
            }
            InboxPayload::FeeTiersSet { venue, tiers } => self.set_fee_tiers(*venue, tiers, out),
            InboxPayload::BuilderSet { builder, account } => {
                self.builders.insert(*builder, *account);
                out.push(Event::BuilderSet { builder: *builder, account: *account });
            }
            InboxPayload::ReferrerSet { account, referrer } => {
                self.accounts.get_mut(account).unwrap().referrer = *referrer;
                out.push(Event::ReferrerSet { account: *account, referrer: *referrer });
            }
            InboxPayload::CancelAll { account, floor } => self.raise_floor(*account, *floor, out),
            InboxPayload::PhaseSet { market, phase } => self.set_phase(market.event(), *phase, out),
            InboxPayload::HoursSet { market, hours } => {
                self.listings.get_mut(&market.event()).unwrap().hours = Some(*hours);
                out.push(Event::HoursSet { event: market.event(), hours: *hours });
            }
            InboxPayload::TermsSet(terms) => {
                self.terms = *terms;
                out.push(Event::TermsSet(*terms));
            }
            InboxPayload::ForcedClose { account, market } => self.force_close(*account, *market, item.time.0, out),
            // They wait for prices.
            InboxPayload::ForcedWithdrawal { .. } | InboxPayload::ForcedLiquidation(_) => {}
            other => panic!("not part of these lives: {other:?}"),
        }
    }

    /// The first deposit opens an account. One of a further asset than it may hold waits to be claimed on chain.
    fn deposit(&mut self, account: AccountId, owner: Address, token: Address, amount: u128, out: &mut Vec<Event>) {
        self.accounts.entry(account).or_insert_with(|| {
            out.push(Event::AccountOpened { account, owner });
            Account::new(owner)
        });
        let atoms = i128::try_from(amount).unwrap();
        let asset = self.token(token).unwrap();
        let holdings = self.health(&self.accounts[&account]).holdings;
        let most = self.places_max();
        let state = self.accounts.get_mut(&account).unwrap();
        let credited = asset == FeedId(0) || state.balance(asset) != 0 || holdings < most;
        if credited {
            *state.principal.entry(asset).or_default() += atoms;
        }
        if asset == FeedId(0) {
            let claim = self.pool.take(atoms);
            state.cash += claim;
            out.push(Event::Deposited { account, amount: Atoms(claim) });
            return;
        }
        if credited {
            *state.balances.entry(asset).or_default() += atoms;
        }
        out.push(Event::AssetDeposited { account, asset, amount, credited });
    }

    fn set_phase(&mut self, event: EventId, phase: Phase, out: &mut Vec<Event>) {
        let listing = self.listings.get_mut(&event).unwrap();
        if listing.payouts.is_some() || listing.phase == Phase::Delisted {
            return;
        }
        listing.phase = phase;
        out.push(Event::PhaseSet { event, phase });
        if phase == Phase::ReduceOnly {
            self.keep_reducing(event, out);
        }
        if phase == Phase::Delisted {
            self.cancel_listing(event, CancelReason::Delisted, out);
            if self.listings[&event].kind == MarketKind::Perpetual {
                let feed = self.listings[&event].feed.unwrap();
                self.feeds.get_mut(&feed).unwrap().is_over = true;
                self.queue_holders(event);
            }
        }
    }

    /// Whoever has a position waits to be paid.
    fn queue_holders(&mut self, event: EventId) {
        for (account, state) in &self.accounts {
            if state.positions.iter().any(|(market, lots)| market.event() == event && *lots != 0) {
                self.queue.insert((event, *account));
            }
        }
    }

    pub(super) fn redeem(&mut self, out: &mut Vec<Event>) {
        // These worlds are too small to reach a frame's budget for redemptions.
        for (event, account) in std::mem::take(&mut self.queue) {
            let market = MarketId::new(event, 0);
            let (amount, surplus) = if self.listings[&event].kind == MarketKind::Perpetual {
                (self.close_delisted(account, market), 0)
            } else {
                self.pay_out(account, event)
            };
            self.open.redemptions.push(Redemption { account, market });
            let amount = Atoms(amount);
            out.push(match self.listings[&event].kind {
                MarketKind::Perpetual => Event::Closed { account, market, amount },
                _ => Event::Redeemed { account, event, amount },
            });
            self.insure(surplus, out);
        }
    }

    /// What the account gets; and what the fund gets, which paid a closed one's debt, of what it would get above the worst.
    fn pay_out(&mut self, account: AccountId, event: EventId) -> (i128, i128) {
        let listing = &self.listings[&event];
        let worst = self.worst_payoff(&self.accounts[&account], event);
        let state = self.accounts.get_mut(&account).unwrap();
        let amounts = (0u8..).zip(listing.payouts.as_ref().unwrap()).map(|(k, payout)| {
            let held = state.positions.remove(&MarketId::new(event, k)).unwrap_or(0);
            held * i128::from(*payout) * listing.quantum()
        });
        let amount: i128 = amounts.sum();
        let surplus = if state.closed { amount - worst } else { 0 };
        state.cash += amount - surplus;
        (amount - surplus, surplus)
    }

    /// At the last price that there was, and funding up to then.
    fn close_delisted(&mut self, account: AccountId, market: MarketId) -> i128 {
        let state = &self.accounts[&account];
        let amount = self.feed(market).unwrap().value(state.lots(market));
        let funding = self.funding(state, market);
        let state = self.accounts.get_mut(&account).unwrap();
        state.cash += amount + funding;
        state.positions.remove(&market);
        state.paid_up_to.remove(&market);
        state.entries.remove(&market);
        self.forced.remove(&(account, market));
        self.busy.insert(account);
        amount
    }
}
