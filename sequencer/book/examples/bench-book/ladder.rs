//! The book under measurement, as the engine uses it.

use xos_book::{Book, Handle, OpenOrders, Orders};
use xos_types::{Lots, MarketId, Nonce, Side, Ticks};

use crate::stream::{Command, Limit};
use crate::{Contender, Fills};

pub(crate) struct LadderBook {
    orders: Orders<Hot>,
    book: Book,
    accounts: Vec<OpenOrders>,
}

/// As large as what the engine hangs on an order.
#[derive(Clone, Copy, Debug, Default)]
struct Hot {
    account: u32,
    _fee_credit: u32,
    _line: u32,
}

impl LadderBook {
    pub(crate) fn contains(&self, account: u32, nonce: u64) -> bool {
        self.accounts[account as usize].find(&self.orders, Nonce(nonce)).is_some()
    }

    pub(crate) fn resting(&self) -> usize {
        self.orders.len()
    }

    fn take(&mut self, Limit { account, nonce, buys, price, mut lots }: Limit, rests: bool, fills: &mut Fills) {
        let side = if buys { Side::Buy } else { Side::Sell };
        while let Some(handle) = self.book.first_crossing(&self.orders, side, Ticks(price)) {
            lots -= self.fill(handle, lots, fills);
            if lots == 0 {
                return;
            }
        }
        if rests {
            let hot = Hot { account, ..Hot::default() };
            let limit = xos_book::Limit { side, price: Ticks(price), lots: Lots(lots) };
            let handle = self.book.insert(&mut self.orders, Nonce(nonce), limit, hot, || ());
            self.accounts[account as usize].insert(&self.orders, Nonce(nonce), handle);
        }
    }

    fn fill(&mut self, handle: Handle, wanted: u64, fills: &mut Fills) -> u64 {
        let price = self.orders.price(handle);
        let maker = self.orders.get(handle);
        let (account, nonce, lots) = (maker.hot.account, maker.nonce(), wanted.min(maker.remaining().0));
        if lots == maker.remaining().0 {
            self.accounts[account as usize].remove(&self.orders, nonce);
            self.book.remove(&mut self.orders, handle);
        } else {
            self.book.reduce(&mut self.orders, handle, Lots(lots));
        }
        fills.add((account, nonce.0), price.0, lots);
        lots
    }

    fn cancel(&mut self, account: u32, nonce: u64) {
        if let Some(handle) = self.accounts[account as usize].remove(&self.orders, Nonce(nonce)) {
            self.book.remove(&mut self.orders, handle);
        }
    }
}

impl Contender for LadderBook {
    fn new(accounts: usize) -> Self {
        let accounts = (0..accounts).map(|_| OpenOrders::default()).collect();
        Self { orders: Orders::default(), book: Book::new(MarketId(1)), accounts }
    }

    fn apply(&mut self, command: &Command, fills: &mut Fills) {
        match *command {
            Command::Place(limit) => self.take(limit, true, fills),
            Command::ImmediateOrCancel(limit) => self.take(limit, false, fills),
            Command::Cancel { account, nonce } => self.cancel(account, nonce),
            Command::Move { nonce, to } => {
                self.cancel(to.account, nonce);
                self.take(to, true, fills);
            }
        }
    }

    fn size(&self) -> (usize, usize) {
        let levels = |side| self.book.levels(&self.orders, side).count();
        (self.orders.len(), levels(Side::Buy) + levels(Side::Sell))
    }
}
