//! The book and the index against the plainest thing that could be right: one vector, sorted by price and age.

use std::collections::BTreeMap;

use proptest::prelude::*;
use xos_book::{Book, Handle, Limit, OpenOrders, Orders};
use xos_types::{Lots, MarketId, Nonce, Side, Ticks};

const MARKETS: u32 = 2;

/// One side of one market, best first and oldest first.
#[derive(Default)]
struct NaiveSide(Vec<NaiveOrder>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NaiveOrder {
    price: Ticks,
    nonce: Nonce,
    remaining: Lots,
}

impl NaiveSide {
    fn insert(&mut self, side: Side, order: NaiveOrder) {
        let is_ahead = |other: &NaiveOrder| match side {
            Side::Buy => other.price >= order.price,
            Side::Sell => other.price <= order.price,
        };
        self.0.insert(self.0.partition_point(is_ahead), order);
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Insert {
        market: u32,
        side: Side,
        price: Ticks,
        lots: u64,
    },
    /// The order at this place of a side's queue, as a share of its length.
    Remove {
        market: u32,
        side: Side,
        place: u16,
    },
    Reduce {
        market: u32,
        side: Side,
        place: u16,
        share: u16,
    },
    /// Other lots, behind all others at the price.
    Requeue {
        market: u32,
        side: Side,
        place: u16,
        lots: u64,
    },
    /// Fills whatever this limit crosses, up to so many lots.
    Take {
        market: u32,
        side: Side,
        limit: Ticks,
        lots: u64,
    },
}

fn price() -> impl Strategy<Value = Ticks> {
    let scattered = (0u32..64, 0u64..3).prop_map(|(bit, near)| (1u64 << bit).wrapping_add(near).wrapping_sub(1));
    prop_oneof![20 => 480u64..520, 10 => 0u64..3_000, 2 => any::<u64>(), 3 => scattered].prop_map(Ticks)
}

fn step() -> impl Strategy<Value = Step> {
    let market = || 0..MARKETS;
    let side = || prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let lots = || prop_oneof![20 => 1u64..100, 1 => Just(u64::MAX)];
    prop_oneof![
        10 => (market(), side(), price(), lots())
            .prop_map(|(market, side, price, lots)| Step::Insert { market, side, price, lots }),
        7 => (market(), side(), any::<u16>()).prop_map(|(market, side, place)| Step::Remove { market, side, place }),
        2 => (market(), side(), any::<u16>(), any::<u16>())
            .prop_map(|(market, side, place, share)| Step::Reduce { market, side, place, share }),
        2 => (market(), side(), any::<u16>(), lots())
            .prop_map(|(market, side, place, lots)| Step::Requeue { market, side, place, lots }),
        1 => (market(), side(), price(), lots())
            .prop_map(|(market, side, limit, lots)| Step::Take { market, side, limit, lots }),
    ]
}

/// Both books, living through the same steps.
struct Pair {
    orders: Orders<u32, u8>,
    books: Vec<Book>,
    open: OpenOrders,
    naive: BTreeMap<(u32, Side), NaiveSide>,
    nonce: u64,
}

impl Pair {
    fn new() -> Self {
        let books = (0..MARKETS).map(|market| Book::new(MarketId(market))).collect();
        Self { orders: Orders::default(), books, open: OpenOrders::default(), naive: BTreeMap::new(), nonce: 0 }
    }

    fn naive(&mut self, market: u32, side: Side) -> &mut NaiveSide {
        self.naive.entry((market, side)).or_default()
    }

    fn pick(&mut self, market: u32, side: Side, place: u16) -> Option<usize> {
        let count = self.naive(market, side).0.len();
        (count > 0).then(|| usize::from(place) % count)
    }

    fn remove(&mut self, market: u32, side: Side, place: usize) {
        let nonce = self.naive(market, side).0.remove(place).nonce;
        let handle = self.open.remove(&self.orders, nonce).expect("what rests is open");
        self.books[market as usize].remove(&mut self.orders, handle);
        assert_eq!(self.open.find(&self.orders, nonce), None);
    }

    fn reduce(&mut self, market: u32, side: Side, place: usize, lots: u64) {
        let order = &mut self.naive(market, side).0[place];
        order.remaining.0 -= lots;
        let nonce = order.nonce;
        let handle = self.open.find(&self.orders, nonce).expect("what rests is open");
        self.books[market as usize].reduce(&mut self.orders, handle, Lots(lots));
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Insert { market, side, price, lots } => {
                // Mostly a counter, with gaps and turns that bring collisions.
                self.nonce += if self.nonce.is_multiple_of(7) { 1 << (self.nonce % 40) } else { 1 };
                let (nonce, lots) = (Nonce(self.nonce), Lots(lots));
                self.naive(market, side).insert(side, NaiveOrder { price, nonce, remaining: lots });
                let limit = Limit { side, price, lots };
                let book = &mut self.books[market as usize];
                let handle = book.insert(&mut self.orders, nonce, limit, market + 7, || 9);
                self.open.insert(&self.orders, nonce, handle);
                assert_eq!(self.open.find(&self.orders, nonce), Some(handle));
            }
            Step::Remove { market, side, place } => {
                if let Some(place) = self.pick(market, side, place) {
                    self.remove(market, side, place);
                }
            }
            Step::Reduce { market, side, place, share } => {
                let Some(place) = self.pick(market, side, place) else { return };
                let remaining = self.naive(market, side).0[place].remaining.0;
                let lots = u64::from(share) % remaining;
                self.reduce(market, side, place, lots);
            }
            Step::Requeue { market, side, place, lots } => {
                let Some(place) = self.pick(market, side, place) else { return };
                let order = self.naive(market, side).0.remove(place);
                self.naive(market, side).insert(side, NaiveOrder { remaining: Lots(lots), ..order });
                let handle = self.open.find(&self.orders, order.nonce).expect("what rests is open");
                self.books[market as usize].requeue(&mut self.orders, handle, Lots(lots));
            }
            Step::Take { market, side, limit, mut lots } => {
                while lots > 0 {
                    let first = self.naive(market, side.opposite()).0.first().copied();
                    let first = first.filter(|order| match side {
                        Side::Buy => order.price <= limit,
                        Side::Sell => order.price >= limit,
                    });
                    let book = &self.books[market as usize];
                    let met = book.first_crossing(&self.orders, side, limit);
                    assert_eq!(met.map(|handle| self.orders.get(handle).nonce()), first.map(|order| order.nonce));
                    assert_eq!(book.best_crossing(side, limit), first.map(|order| order.price));
                    let Some(first) = first else { return };
                    if first.remaining.0 <= lots {
                        lots -= first.remaining.0;
                        self.remove(market, side.opposite(), 0);
                    } else {
                        self.reduce(market, side.opposite(), 0, lots);
                        return;
                    }
                }
            }
        }
    }

    fn compare_best(&self) {
        for ((market, side), naive) in &self.naive {
            let best = self.books[*market as usize].best(*side);
            assert_eq!(best, naive.0.first().map(|order| order.price));
        }
    }

    fn compare(&self) {
        let mut resting = 0;
        for ((market, side), naive) in &self.naive {
            let book = &self.books[*market as usize];
            let queue: Vec<NaiveOrder> = book.queue(&self.orders, *side).map(|handle| self.seen(handle)).collect();
            assert_eq!(queue, naive.0);
            for handle in book.queue(&self.orders, *side) {
                assert_eq!((self.orders.market(handle), self.orders.side(handle)), (MarketId(*market), *side));
                assert_eq!((self.orders.get(handle).hot, *self.orders.cold(handle)), (market + 7, 9));
            }
            let mut sums: Vec<(Ticks, u128, u32)> = Vec::new();
            for order in &naive.0 {
                let lots = u128::from(order.remaining.0);
                match sums.last_mut().filter(|(price, ..)| *price == order.price) {
                    Some((_, sum, count)) => (*sum, *count) = (*sum + lots, *count + 1),
                    None => sums.push((order.price, lots, 1)),
                }
            }
            let levels = book.levels(&self.orders, *side);
            let levels: Vec<_> = levels.map(|(price, level)| (price, level.lots(), level.orders())).collect();
            assert_eq!(levels, sums);
            resting += queue.len();
        }
        assert_eq!((self.orders.len(), self.open.len()), (resting, resting));
        let by_nonce = self.open.by_nonce(&self.orders);
        assert!(by_nonce.is_sorted_by_key(|(nonce, _)| *nonce) && by_nonce.len() == resting);
        for (nonce, handle) in by_nonce {
            assert_eq!(self.orders.get(handle).nonce(), nonce);
        }
    }

    fn seen(&self, handle: Handle) -> NaiveOrder {
        let order = self.orders.get(handle);
        NaiveOrder { price: self.orders.price(handle), nonce: order.nonce(), remaining: order.remaining() }
    }
}

fn sell(price: u64) -> Limit {
    Limit { side: Side::Sell, price: Ticks(price), lots: Lots(1) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_book_keeps_price_and_time_as_a_sorted_vector_does(steps in prop::collection::vec(step(), 1..4_000)) {
        let mut pair = Pair::new();
        for (count, step) in steps.into_iter().enumerate() {
            pair.step(step);
            pair.compare_best();
            if count % 200 == 0 {
                pair.compare();
            }
        }
        pair.compare();
        // Emptied, it holds nothing but room.
        for market in 0..MARKETS {
            for side in [Side::Buy, Side::Sell] {
                while pair.pick(market, side, 0).is_some() {
                    pair.remove(market, side, 0);
                }
            }
        }
        pair.compare();
        prop_assert_eq!(pair.orders.tree_size(), (0, 0));
    }

    #[test]
    fn an_index_finds_what_an_ordered_map_finds(
        steps in prop::collection::vec((any::<bool>(), 0u64..300, 0u32..40), 1..600), crowd in any::<bool>(),
    ) {
        let (mut orders, mut book) = (Orders::<()>::default(), Book::new(MarketId(0)));
        let (mut open, mut model) = (OpenOrders::default(), BTreeMap::new());
        for (adds, number, shift) in steps {
            // All of a crowd have the same home in any table.
            let nonce = Nonce(if crowd { number << 56 } else { number << (shift % 8) });
            prop_assert_eq!(open.find(&orders, nonce), model.get(&nonce).copied());
            if adds && !model.contains_key(&nonce) {
                let handle = book.insert(&mut orders, nonce, sell(1), (), || ());
                open.insert(&orders, nonce, handle);
                model.insert(nonce, handle);
            } else if let Some(handle) = model.remove(&nonce) {
                prop_assert_eq!(open.remove(&orders, nonce), Some(handle));
                book.remove(&mut orders, handle);
            }
            prop_assert_eq!(open.len(), model.len());
        }
        prop_assert!(open.by_nonce(&orders).into_iter().eq(model));
    }
}

/// Many more steps than a test that can shrink its failures has time for.
#[test]
fn two_million_commands_leave_the_same_queues() {
    let mut dice = 0x9e37_79b9_7f4a_7c15u64;
    let mut below = move |limit: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % limit
    };
    let mut pair = Pair::new();
    for count in 0..2_000_000 {
        let market = u32::from(below(10) == 0);
        let side = if below(2) == 0 { Side::Buy } else { Side::Sell };
        let place = u16::try_from(below(1 << 16)).unwrap();
        let far = below(100) == 0;
        let price = Ticks(if far { below(u64::MAX) >> below(64) } else { 1_000 + below(200) });
        // Between a few orders and a few hundred.
        let grows = count / 10_000 % 2 == 0;
        pair.step(match below(20) {
            0..8 => Step::Insert { market, side, price, lots: 1 + below(100) },
            8..10 if grows => Step::Insert { market, side, price, lots: 1 + below(100) },
            8..17 => Step::Remove { market, side, place },
            17 => Step::Reduce { market, side, place, share: place },
            18 => Step::Requeue { market, side, place, lots: 1 + below(100) },
            _ => Step::Take { market, side, limit: price, lots: 1 + below(200) },
        });
        pair.compare_best();
        if count % 5_000 == 0 {
            pair.compare();
        }
    }
    pair.compare();
}

/// What the head of the crate promises of people who put orders wherever it hurts.
#[test]
fn scattered_prices_cost_a_leaf_and_a_node_each() {
    let (mut orders, mut book) = (Orders::<()>::default(), Book::new(MarketId(0)));
    let mut prices: Vec<u64> = (0..64).map(|bit| 1 << bit).collect();
    let mut price = 1u64;
    for _ in 0..50_000 {
        price = price.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        prices.push(price);
    }
    let mut handles = Vec::new();
    for (nonce, price) in (0..).zip(&prices) {
        handles.push(book.insert(&mut orders, Nonce(nonce), sell(*price), (), || ()));
    }
    let (leaves, nodes) = orders.tree_size();
    assert!(leaves <= prices.len() && nodes < leaves, "{leaves} leaves, {nodes} nodes");
    prices.sort_unstable();
    prices.dedup();
    assert!(book.levels(&orders, Side::Sell).map(|(price, _)| price.0).eq(prices));
    for handle in handles {
        book.remove(&mut orders, handle);
    }
    assert_eq!(orders.tree_size(), (0, 0));
}

#[test]
#[should_panic(expected = "drops it together with the order")]
fn a_handle_is_good_once() {
    let (mut orders, mut book) = (Orders::<()>::default(), Book::new(MarketId(0)));
    let handle = book.insert(&mut orders, Nonce(0), sell(5), (), || ());
    book.remove(&mut orders, handle);
    book.remove(&mut orders, handle);
}
