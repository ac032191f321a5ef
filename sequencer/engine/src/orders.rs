//! What the engine keeps of a resting order, beside its place in the book.
//!
//! Memory decides how many orders a group can hold, so nothing is kept twice: side, price and market are those of the
//! order's level, and the signer has a number. [`Orders::signed`] puts together what was signed when a line, a hash or a
//! question asks for it.

use std::collections::BTreeMap;

use xos_book::{Book, Handle, Limit, Resting};
use xos_types::{
    AccountId, Address, Lots, MarketId, Nonce, Order, OrderKind, Ppm, Side, Signature, Signed, Ticks, TimeMs,
};

use crate::account::{Account, Standing};
use crate::engine::account_index;
use crate::fees::{FeeCredit, builder_reserve};
use crate::frame::LineRef;
use crate::terms::Terms;

/// What every match asks for; lies with the links.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hot {
    /// Index of its account, and in the highest bits whether it only reduces and pays a builder.
    account: u32,
    pub(crate) credit: FeeCredit,
    /// Its line in the open frame, if it filled there.
    pub(crate) line: LineRef,
}

/// Marks an order that only reduces.
const REDUCES: u32 = 1 << 31;
/// Marks an order that pays a builder.
const PAYS_BUILDER: u32 = 1 << 30;
const MARKS: u32 = REDUCES | PAYS_BUILDER;

/// What only a frame's first fill, an expiry or a question asks for; lies apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cold {
    signature: Signature,
    size: Lots,
    expiry: TimeMs,
    max_fee: Ppm,
    builder: u32,
    builder_fee: Ppm,
    signer: SignerRef,
    kind: OrderKind,
    reduce_only: bool,
}

// With its place in its account's index and room to grow, a resting order stays within 160 bytes.
const _: () = assert!(size_of::<Resting<Hot>>() == 40 && size_of::<Cold>() == 104);

/// Who signed: 0 for the account's owner, else one more than the key's number.
#[derive(Clone, Copy, Debug)]
struct SignerRef(u32);

/// An order that is about to rest.
pub(crate) struct ToRest<'a> {
    pub(crate) signed: &'a Signed<Order>,
    pub(crate) remaining: Lots,
    pub(crate) credit: FeeCredit,
    pub(crate) line: LineRef,
}

/// Every resting order of the group.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    pub(crate) resting: xos_book::Orders<Hot, Cold>,
    /// Keys that signed orders which rested, by number; and their numbers. Kept for ever, as accounts keep their keys.
    keys: Vec<Address>,
    numbers: BTreeMap<Address, u32>,
}

impl Orders {
    pub(crate) fn len(&self) -> usize {
        self.resting.len()
    }

    /// Adds an order of `account` behind all others at its price.
    pub(crate) fn insert(&mut self, book: &mut Book, account: &mut Account, order: &ToRest<'_>) -> Handle {
        let Signed { message, signature, signer } = order.signed;
        let index = u32::try_from(account_index(message.account)).expect("memory ends long before 2^30 accounts");
        let hot = Hot {
            account: index
                | if message.reduce_only { REDUCES } else { 0 }
                | if message.builder != 0 { PAYS_BUILDER } else { 0 },
            credit: order.credit,
            line: order.line,
        };
        let cold = Cold {
            signature: *signature,
            size: message.size,
            expiry: message.expiry,
            max_fee: message.max_fee,
            builder: message.builder,
            builder_fee: message.builder_fee,
            signer: if *signer == account.owner { SignerRef(0) } else { self.number(*signer) },
            kind: message.kind,
            reduce_only: message.reduce_only,
        };
        let limit = Limit { side: message.side, price: message.price, lots: order.remaining };
        let handle = book.insert(&mut self.resting, message.nonce, limit, hot, cold);
        account.orders.insert(&self.resting, message.nonce, handle);
        handle
    }

    /// Takes an order out of its book and its account's index.
    pub(crate) fn remove(&mut self, book: &mut Book, account: &mut Account, handle: Handle) {
        let indexed = account.orders.remove(&self.resting, self.nonce(handle));
        assert_eq!(indexed, Some(handle), "an account knows its orders");
        book.remove(&mut self.resting, handle);
    }

    pub(crate) fn hot_mut(&mut self, handle: Handle) -> &mut Hot {
        self.resting.hot_mut(handle)
    }

    pub(crate) fn credit(&self, handle: Handle) -> FeeCredit {
        self.resting.get(handle).hot.credit
    }

    pub(crate) fn account(&self, handle: Handle) -> AccountId {
        AccountId(u64::from(self.resting.get(handle).hot.account & !MARKS) + 1)
    }

    /// Whether it only reduces.
    pub(crate) fn reduces(&self, handle: Handle) -> bool {
        self.resting.get(handle).hot.account & REDUCES != 0
    }

    /// Whether it pays a builder.
    pub(crate) fn pays_builder(&self, handle: Handle) -> bool {
        self.resting.get(handle).hot.account & PAYS_BUILDER != 0
    }

    pub(crate) fn nonce(&self, handle: Handle) -> Nonce {
        self.resting.get(handle).nonce()
    }

    pub(crate) fn remaining(&self, handle: Handle) -> Lots {
        self.resting.get(handle).remaining()
    }

    pub(crate) fn market(&self, handle: Handle) -> MarketId {
        self.resting.market(handle)
    }

    pub(crate) fn side(&self, handle: Handle) -> Side {
        self.resting.side(handle)
    }

    pub(crate) fn price(&self, handle: Handle) -> Ticks {
        self.resting.price(handle)
    }

    pub(crate) fn expiry(&self, handle: Handle) -> TimeMs {
        self.resting.cold(handle).expiry
    }

    pub(crate) fn size(&self, handle: Handle) -> Lots {
        self.resting.cold(handle).size
    }

    /// The order as its trader wrote it.
    pub(crate) fn order(&self, handle: Handle) -> Order {
        let Cold { size, expiry, max_fee, builder, builder_fee, kind, reduce_only, .. } = *self.resting.cold(handle);
        Order {
            account: self.account(handle),
            market: self.market(handle),
            side: self.side(handle),
            kind,
            reduce_only,
            size,
            price: self.price(handle),
            nonce: self.nonce(handle),
            expiry,
            max_fee,
            builder,
            builder_fee,
        }
    }

    /// The order with its signature.
    pub(crate) fn signed(&self, handle: Handle, accounts: &[Account]) -> Signed<Order> {
        let signature = self.resting.cold(handle).signature;
        Signed { message: self.order(handle), signature, signer: self.signer(handle, accounts) }
    }

    pub(crate) fn signer(&self, handle: Handle, accounts: &[Account]) -> Address {
        match self.resting.cold(handle).signer {
            SignerRef(0) => accounts[account_index(self.account(handle))].owner,
            SignerRef(number) => self.keys[number as usize - 1],
        }
    }

    /// The most that it may still be charged by its venue.
    pub(crate) fn reserved_fee(&self, handle: Handle, terms: &Terms) -> i128 {
        let base = terms.fee_base(self.price(handle), self.remaining(handle));
        self.credit(handle).outstanding(base, terms.maker_fee.fee())
    }

    /// The most that it may still be charged by its venue and its builder.
    pub(crate) fn reserved(&self, handle: Handle, terms: &Terms) -> i128 {
        let per_lot = builder_reserve(terms, self.price(handle), self.resting.cold(handle).builder_fee);
        self.reserved_fee(handle, terms) + per_lot * i128::from(self.remaining(handle).0)
    }

    /// What its account's margin holds for it.
    pub(crate) fn standing(&self, handle: Handle) -> Standing {
        Standing {
            market: self.market(handle),
            side: self.side(handle),
            price: self.price(handle),
            lots: self.remaining(handle),
        }
    }

    fn number(&mut self, key: Address) -> SignerRef {
        let next = u32::try_from(self.keys.len() + 1).expect("memory ends long before 2^32 keys");
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.keys.push(key);
        }
        SignerRef(number)
    }
}
