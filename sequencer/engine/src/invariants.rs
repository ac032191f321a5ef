//! What must hold after every command, recomputed from scratch. Too slow for the product; every test calls it.

use std::collections::{BTreeMap, BTreeSet};

use xos_book::{Book, Handle};
use xos_types::{
    AccountId, EventId, FeedId, Lots, MarketId, MarketKind, Nonce, Phase, Side, Signed, Ticks, TimeMs, TreeId,
};

use crate::account::{Account, Standing};
use crate::auction::is_crossed;
use crate::engine::{Engine, Listing, event_index};
use crate::holdings::{Held, Holdings};
use crate::margins::Margins;
use crate::wide::{PRICE_SCALE, floor};

impl Engine {
    /// Checks conservation, books, reserves and indexes; `O(state)`.
    ///
    /// # Panics
    /// If one does not hold, naming it: that is a bug of the engine.
    pub fn check_invariants(&self) {
        let mut resting = 0;
        for (number, listing) in (1u32..).zip(&self.listings) {
            resting += self.check_books(EventId(number), listing);
            match listing.terms.kind {
                MarketKind::Outcome => self.check_positions(EventId(number), listing),
                MarketKind::Perpetual => self.check_perpetual(EventId(number), listing),
                MarketKind::Spot => {}
            }
        }
        assert_eq!(resting, self.orders.len(), "every order lies in exactly one book");
        let open: usize = self.accounts.iter().map(|account| account.orders.len()).sum();
        assert_eq!(resting, open, "every order is known to its account");

        let mut expiries = BTreeSet::new();
        for (id, account) in self.accounts.entries() {
            self.check_account(id, account, &mut expiries);
        }
        let waiting = self.plans.iter().map(|waiting| (waiting.signed.message.expiry, waiting.name()));
        expiries.extend(
            waiting.filter(|(expiry, _)| *expiry != TimeMs(0)).map(|(expiry, (id, nonce))| (expiry, id, nonce)),
        );
        assert_eq!(expiries, self.expiries, "exactly the orders that expire are in the expiry index");
        for id in self.board.ids() {
            self.check_feed(id);
        }
        assert!(self.moved.is_empty() && self.suspects.is_empty(), "a frame opens with everybody looked at");
        self.check_rescues();
        self.check_tiers();
        self.switches.check();
        self.check_plans();
        let altered = self.accounts.iter().flat_map(|account| account.orders.iter());
        let altered = altered.filter(|handle| self.orders.altered(*handle).is_some()).count();
        assert_eq!(
            altered,
            self.orders.altered_len(),
            "exactly the orders that differ from what was signed are so marked"
        );
        self.check_trees();
        self.check_conservation();
    }

    /// Exactly the trees are kept of which an order rests or waits, and each of those is one of the tree's.
    fn check_trees(&self) {
        let resting = self.accounts.iter().flat_map(|account| account.orders.iter());
        let resting = resting.map(|handle| self.orders.signed(handle, &self.accounts));
        let mut uses: BTreeMap<TreeId, u32> = BTreeMap::new();
        for Signed { message, signature, signer } in resting.chain(self.plans.iter().map(|waiting| waiting.signed)) {
            if let Some((number, tree)) = self.orders.trees.of(&signature) {
                assert!(tree.orders().contains(&message) && tree.signer == signer, "an order of a tree is in it");
                *uses.entry(number).or_default() += 1;
            }
        }
        self.orders.trees.check();
        assert_eq!(uses, self.orders.trees.uses(), "trees are kept while their orders rest or wait");
    }

    /// What waits, what hangs together, and reduce-only orders that are no more than there is to reduce.
    fn check_plans(&self) {
        self.plans.check();
        let reducing = self.find_reducing();
        assert_eq!(reducing, self.reducing, "resting reduce-only orders");
        let counts = reducing.counts();
        for (id, account) in self.accounts.entries() {
            assert_eq!(counts.get(&id).copied().unwrap_or(0), account.reducing, "account {id}: reduce-only orders");
            let waiting: Vec<_> = self.plans.of_account(id).collect();
            assert_eq!(waiting.len(), account.waiting as usize, "account {id}: waiting orders");
            let following = waiting.iter().filter(|waiting| waiting.plan.after.is_some()).count();
            let paired = self.plans.pairs().keys().filter(|(of, _)| *of == id);
            let (mut links, mut live) = (following, 0);
            for name in paired {
                links += 1;
                live += usize::from(self.live(*name).is_some());
            }
            assert_eq!(links, account.links as usize, "account {id}: orders that hang together");
            assert_eq!(live, links - following, "account {id}: orders that have ended exclude nothing");
            for waiting in waiting {
                let (order, listing) = (&waiting.signed.message, self.find_market(waiting.market()));
                let listing = listing.expect("orders wait in markets that exist");
                assert!(self.resting(id, order.nonce).is_none(), "an order rests or waits");
                assert!(account.nonces.is_spent(order.nonce), "a waiting order's nonce is spent");
                assert!(waiting.remaining() > Lots(0), "an order of no lots waits for nothing");
                assert!(
                    listing.payouts.is_none() && listing.phase != Phase::Delisted,
                    "nothing waits where nothing trades"
                );
                let may = self.accounts.parent(id).may_sign(waiting.signed.signer, listing, order, self.frame.time);
                assert!(may, "whoever signed a waiting order may still trade it");
                assert!(order.expiry == TimeMs(0) || order.expiry >= self.frame.time, "an expired order waits");
            }
        }
        self.reducing.check(|(account, market, side)| {
            let terms = &self.listings[event_index(market.event())].terms;
            self.find_account(account).expect("its orders rest").reducible(terms, market, side)
        });
    }

    /// Sizes of a perpetual sum to zero, until those of a delisted one are being paid.
    fn check_perpetual(&self, event: EventId, listing: &Listing) {
        let held = self.accounts.iter().filter_map(|account| account.holdings.perpetual(listing.terms.feed));
        let sizes: Vec<i128> = held.map(|held| i128::from(held.size)).collect();
        let long: i128 = sizes.iter().filter(|lots| **lots > 0).sum();
        assert_eq!(long, i128::from(listing.open_interest[0]), "open interest of perpetual {event}");
        if listing.phase != Phase::Delisted {
            assert_eq!(sizes.iter().sum::<i128>(), 0, "sizes of perpetual {event} sum to zero");
        }
    }

    /// Whoever holds is listed once, and balances are what came in and did not leave.
    fn check_feed(&self, id: FeedId) {
        let feed = &self.board[id];
        let holding = self.accounts.entries().filter(|(_, account)| account.holdings.contains(id));
        let holding: BTreeSet<AccountId> = holding.map(|(holder, _)| holder).collect();
        assert!(feed.holders.iter().eq(holding.iter().copied()), "holders at feed {id}");
        if !feed.is_perpetual() {
            let balances: u128 =
                self.accounts.iter().filter_map(|account| account.holdings.asset(id)).map(|held| held.balance).sum();
            assert_eq!(balances, feed.custody, "balances of asset {id} are the tokens in custody");
        }
    }

    /// What is held and ordered at index prices, summed anew.
    fn check_holdings(&self, id: AccountId, account: &Account) {
        let mut fresh = Holdings::default();
        for holding in account.holdings.iter() {
            fresh.open(holding.feed, &self.board[holding.feed]);
            fresh.change(holding.feed, &self.board[holding.feed], |held| *held = holding.held.without_orders());
        }
        for handle in account.orders.iter() {
            let standing = self.orders.standing(handle);
            let terms = &self.listings[event_index(standing.market.event())].terms;
            if terms.kind != MarketKind::Outcome {
                let feed = &self.board[terms.feed];
                fresh.change(terms.feed, feed, |held| held.reserve(feed, standing.offer(terms)));
            }
        }
        assert!(fresh.iter().eq(account.holdings.iter()), "account {id}: what it holds and orders at index prices");
        assert_eq!(fresh.sums, account.holdings.sums, "account {id}: what its holdings count for");
        for holding in account.holdings.iter() {
            assert!(!holding.held.is_empty(), "account {id}: a place with nothing at it");
            if let Held::Asset(held) = holding.held {
                assert!(held.ask_atoms <= held.balance, "account {id} offers more than it has");
            }
        }
        let health = account.health(&self.board);
        assert!(health.usd >= account.usd_with_orders(), "account {id}: orders cannot add cash");
        assert!(health.initial() >= account.initial_with_orders(), "account {id}: orders cannot add health");
        assert_eq!(account.watched, self.watched.contains_key(&id), "account {id}: watched");
        if !account.watched {
            let sound = account.available() >= 0 && !health.blocked;
            assert!(sound, "account {id} is short: {}", account.available());
            assert!(account.holdings.len() <= self.holdings_max(), "account {id} holds too much");
        }
    }

    fn check_books(&self, event: EventId, listing: &Listing) -> usize {
        let mut resting = 0;
        for book in &listing.books {
            assert!(
                !is_crossed(book) || self.crossed.contains(&book.market()),
                "a book of event {event} is crossed, and waits for no auction"
            );
            self.check_own_orders(book);
            for side in [Side::Buy, Side::Sell] {
                let mut sums: BTreeMap<_, (u128, u32)> = BTreeMap::new();
                for handle in book.queue(&self.orders.resting, side) {
                    let Standing { side: own, price, lots, .. } = self.orders.standing(handle);
                    let remaining = self.orders.shown(handle);
                    assert!(lots == remaining || (lots > remaining && self.orders.hides(handle)), "icebergs hide lots");
                    assert!(own == side && remaining.0 > 0, "an order rests on its own side");
                    let known = self.resting(self.orders.account(handle), self.orders.nonce(handle));
                    assert_eq!(known, Some(handle), "an account knows its orders");
                    let (lots, orders) = sums.entry(price).or_default();
                    *lots += u128::from(remaining.0);
                    *orders += 1;
                    resting += 1;
                }
                let levels: BTreeMap<_, _> = book
                    .levels(&self.orders.resting, side)
                    .map(|(price, level)| (price, (level.lots(), level.orders())))
                    .collect();
                assert_eq!(sums, levels, "a level's sums are those of its orders");
            }
        }
        assert!(listing.payouts.is_none() || resting == 0, "a resolved event has no orders");
        resting
    }

    /// No account could trade with itself.
    fn check_own_orders(&self, book: &Book) {
        let mut best_bids: BTreeMap<AccountId, Ticks> = BTreeMap::new();
        for bid in book.queue(&self.orders.resting, Side::Buy) {
            best_bids.entry(self.orders.account(bid)).or_insert(self.orders.price(bid));
        }
        for ask in book.queue(&self.orders.resting, Side::Sell) {
            let bid = best_bids.get(&self.orders.account(ask));
            assert!(bid.is_none_or(|bid| *bid < self.orders.price(ask)), "an account's orders never cross each other");
        }
    }

    /// Positions of an outcome sum to zero until the event's redemption has begun.
    fn check_positions(&self, event: EventId, listing: &Listing) {
        if listing.payouts.is_some() {
            return;
        }
        for k in 0..listing.terms.outcomes {
            let market = MarketId::new(event, k);
            let positions = self.accounts.iter().map(|account| account.margins.outcome(market).position);
            let held: Vec<i128> = positions.map(i128::from).collect();
            assert_eq!(held.iter().sum::<i128>(), 0, "positions in event {event}, outcome {k} sum to zero");
            let long: i128 = held.iter().filter(|lots| **lots > 0).sum();
            assert_eq!(
                long,
                i128::from(listing.open_interest[usize::from(k)]),
                "open interest in event {event}, outcome {k}"
            );
            assert!(
                listing.open_interest[usize::from(k)] <= listing.terms.open_interest_max,
                "open interest is within its cap"
            );
        }
    }

    fn check_account(&self, id: AccountId, account: &Account, expiries: &mut BTreeSet<(TimeMs, AccountId, Nonce)>) {
        let mut margins = Margins::default();
        for (market, outcome) in account.margins.iter() {
            let terms = &self.listings[event_index(market.event())].terms;
            margins.change(terms, market, |fresh| fresh.position = outcome.position);
        }
        let mut fee_reserve = 0;
        for handle in account.orders.iter() {
            fee_reserve += self.add_to(&mut margins, handle);
            let order = self.orders.order(handle);
            if order.expiry != TimeMs(0) {
                assert!(order.expiry >= self.frame.time, "an expired order rests");
                expiries.insert((order.expiry, id, order.nonce));
            }
            assert!(account.nonces.is_spent(order.nonce), "a resting order's nonce is spent");
            self.check_rights(id, account, handle);
        }
        assert!(margins.iter().eq(account.margins.iter()), "account {id}: sums per market");
        let events: BTreeSet<EventId> = margins.iter().map(|(market, _)| market.event()).collect();
        let worst = |event: &EventId| margins.worst(&self.listings[event_index(*event)].terms, *event);
        let worst_payoff: i128 = events.iter().map(|event| worst(event).payoff).sum();
        let worst_with_orders: i128 = events.iter().map(|event| worst(event).with_orders).sum();
        assert_eq!(worst_payoff, account.worst_payoff, "account {id}: worst payoff");
        assert_eq!(worst_with_orders - fee_reserve, account.pledged, "account {id}: worst with orders and their fees");
        self.check_holdings(id, account);
    }

    /// The contract would settle a fill of the order by who signed it and by what its account may do.
    fn check_rights(&self, id: AccountId, account: &Account, handle: Handle) {
        let Signed { message: order, signer, .. } = self.orders.signed(handle, &self.accounts);
        let (market, side) = (order.market, order.side);
        let listing = &self.listings[event_index(market.event())];
        let terms = &listing.terms;
        let may = self.accounts.parent(id).may_sign(signer, listing, &order, self.frame.time);
        assert!(may, "whoever signed a resting order may still trade it");
        if self.restriction(id, listing).is_some() {
            let reducible = account.reducible(terms, market, side);
            assert!(account.resting_lots(terms, market, side) <= reducible, "who may only reduce has no other orders");
        }
        assert!(
            account.exposure(terms, market, side) <= i128::from(terms.position_max),
            "positions stay within their cap, orders counted"
        );
    }

    /// Adds an order to the sums from scratch; returns its reserve for fees.
    fn add_to(&self, margins: &mut Margins, handle: Handle) -> i128 {
        let standing = self.orders.standing(handle);
        let terms = &self.listings[event_index(standing.market.event())].terms;
        if terms.kind == MarketKind::Outcome {
            let Standing { market, side, price, lots } = standing;
            margins.change(terms, market, |outcome| outcome.reserve(terms, side, price, lots));
        }
        self.orders.reserved(handle, standing, terms)
    }

    /// What accounts hold is what came in and did not leave: cash, and what resolved events still owe each other.
    fn check_conservation(&self) {
        let cash: i128 = self.accounts.iter().map(|account| account.cash).sum();
        let owed: i128 = self
            .redemptions
            .iter()
            .filter(|(event, _)| self.listings[event_index(*event)].terms.kind == MarketKind::Outcome)
            .map(|(event, id)| {
                let listing = &self.listings[event_index(*event)];
                let payouts = listing.payouts.as_ref().expect("only resolved events are queued");
                let account = self.find_account(*id).expect("a queued account exists");
                account.margins.payoff(&listing.terms, *event, payouts)
            })
            .sum();
        let fees = self.frame_fees();
        // Perpetuals sum to nothing at any one price, so what their values and funding add is what rounding took, or is
        // going to: less than two atoms a holder. What it took before is in the pool for good.
        let perpetuals: i128 = self
            .accounts
            .iter()
            .flat_map(|account| account.holdings.iter())
            .filter_map(|holding| match holding.held {
                Held::Perpetual(held) => {
                    let feed = &self.board[holding.feed];
                    Some(floor(i128::from(held.size) * feed.price, PRICE_SCALE) + held.funding(feed))
                }
                Held::Asset(_) => None,
            })
            .sum();
        // Claims that wait are paid, and losses repaid, when the frame is sealed.
        let waiting: i128 = self.waiting_claims().map(|(_, claim)| claim).sum();
        let claims = cash + owed + fees.accrued.values().map(|amount| amount.0).sum::<i128>() + perpetuals;
        let (claims, covered) = (claims + waiting + fees.repaid, self.pool.tokens + self.pool.bad_debt);
        assert!(self.pool.tokens >= 0 && self.pool.bad_debt >= 0, "a pool and the losses that it does not cover");
        if self.board.len() == 0 {
            assert_eq!(claims, covered, "claims are deposits less withdrawals, and shared losses");
        } else {
            assert!(
                claims <= covered,
                "no more is claimed than came in and did not leave, or is shared as a loss: {claims}"
            );
        }
    }
}
