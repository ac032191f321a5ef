//! Once a book has been as large as it gets, nothing that happens in it allocates. Alone in its file: the count is the process's.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use xos_book::{Book, Handle, Limit, OpenOrders, Orders};
use xos_types::{Lots, MarketId, Nonce, Side, Ticks};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ACCOUNTS: usize = 50;
const RESTING: usize = 2_000;

struct Life {
    dice: u64,
    orders: Orders<u32, [u64; 12]>,
    book: Book,
    accounts: Vec<OpenOrders>,
    resting: Vec<(usize, Nonce)>,
    nonce: u64,
}

impl Life {
    fn below(&mut self, limit: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % limit
    }

    fn place(&mut self, taker: bool) {
        let side = if self.below(2) == 0 { Side::Buy } else { Side::Sell };
        // Near the middle, and now and then anywhere at all.
        let far = if self.below(50) == 0 { self.below(u64::MAX >> 1) } else { self.below(400) };
        let price = match (side == Side::Buy) != taker {
            true => Ticks((u64::MAX >> 1) - far),
            false => Ticks((u64::MAX >> 1) + 1 + far),
        };
        let mut lots = 1 + self.below(100);
        while let Some(handle) = self.book.first_crossing(&self.orders, side, price) {
            let (account, order) = (self.orders.get(handle).hot, *self.orders.get(handle));
            if order.remaining().0 > lots {
                self.book.reduce(&mut self.orders, handle, Lots(lots));
                return;
            }
            lots -= order.remaining().0;
            self.leave(account as usize, order.nonce());
            if lots == 0 {
                return;
            }
        }
        if taker {
            return;
        }
        let account = u32::try_from(self.below(ACCOUNTS as u64)).expect("few accounts");
        self.nonce += 1;
        let nonce = Nonce(self.nonce);
        let handle =
            self.book.insert(&mut self.orders, nonce, Limit { side, price, lots: Lots(lots) }, account, || [0; 12]);
        self.accounts[account as usize].insert(&self.orders, nonce, handle);
        self.resting.push((account as usize, nonce));
    }

    fn leave(&mut self, account: usize, nonce: Nonce) -> Option<Handle> {
        let handle = self.accounts[account].remove(&self.orders, nonce)?;
        self.book.remove(&mut self.orders, handle);
        Some(handle)
    }

    fn cancel(&mut self) {
        let place = usize::try_from(self.below(self.resting.len() as u64)).expect("few orders");
        let (account, nonce) = self.resting.swap_remove(place);
        self.leave(account, nonce);
    }

    fn live(&mut self, commands: usize) {
        for _ in 0..commands {
            match self.below(100) {
                0..3 => self.place(true),
                3..18 if self.resting.len() > RESTING => self.cancel(),
                3..18 => self.place(false),
                _ => {
                    self.cancel();
                    self.place(false);
                }
            }
        }
    }
}

#[test]
fn place_match_cancel_and_move_allocate_nothing() {
    let mut life = Life {
        dice: 0x9e37_79b9_7f4a_7c15,
        orders: Orders::default(),
        book: Book::new(MarketId(1)),
        accounts: (0..ACCOUNTS).map(|_| OpenOrders::default()).collect(),
        resting: Vec::with_capacity(4 * RESTING),
        nonce: 0,
    };
    for _ in 0..2 * RESTING {
        life.place(false);
    }
    life.live(200_000);
    let region = Region::new(ALLOCATOR);
    life.live(200_000);
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations, change.deallocations), (0, 0, 0), "{change:?}");
    assert!(life.orders.len() > RESTING / 2);
}
