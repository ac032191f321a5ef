//! What the engine keeps of a resting order, beside its place in the book.
//!
//! Memory decides how many orders a group can hold, so nothing is kept twice: side, price and market are those of the
//! order's level, and the signer has a number. [`Orders::signed`] puts together what was signed when a line, a hash or a
//! question asks for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xos_book::{Book, Handle, Limit, Resting, fetch};
use xos_types::{
    AccountId, Address, Lots, MarketId, Nonce, Order, OrderKind, Ppm, Side, Signature, Signed, Ticks, TimeMs,
};

use crate::account::{Account, Standing};
use crate::accounts::Accounts;
use crate::fees::{FeeCredit, builder_reserve};
use crate::frame::LineRef;
use crate::limits::{BUILDER_FEE_MAX, SIZE_MAX};
use crate::terms::Terms;
use crate::trees::Trees;

/// What every match asks for; lies with the links.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hot {
    /// Number of its account, and in the highest bits whether it only reduces, pays a builder, is an iceberg, and is of an
    /// isolated account: then the number is the one that such accounts have here.
    account: u32,
    pub(crate) credit: FeeCredit,
    /// Its line in the open frame, if it filled there.
    pub(crate) line: LineRef,
}

/// Marks an order that only reduces.
const REDUCES: u32 = 1 << 31;
/// Marks an order that pays a builder.
const PAYS_BUILDER: u32 = 1 << 30;
/// Marks an order of which the book shows a part.
const HIDES: u32 = 1 << 29;
/// Marks an order of an isolated account.
const ISOLATED: u32 = 1 << 28;
const MARKS: u32 = REDUCES | PAYS_BUILDER | HIDES | ISOLATED;

/// What only a frame's first fill, an expiry or a question asks for; lies apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cold {
    /// Its own, or what refers to the tree that it is of.
    signature: Signature,
    size: Lots,
    expiry: TimeMs,
    max_fee: Ppm,
    builder: u32,
    builder_fee: Ppm,
    signer: SignerRef,
    kind: OrderKind,
    reduce_only: bool,
    /// How it differs from what was signed: 0 if it does not, else one more than the place of its [`Altered`].
    altered: u32,
}

/// How an order that rests differs from what was signed. Few do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Altered {
    /// Lots that were taken off it and did not fill.
    pub(crate) less: Lots,
    /// The price that was signed.
    pub(crate) price: Ticks,
    /// Of an iceberg, what the book shows at a time; else 0.
    display: Lots,
    /// Of an iceberg, what the book does not show.
    hidden: Lots,
}

// With its place in its account's index and room to grow, a resting order stays within 160 bytes.
const _: () = assert!(size_of::<Resting<Hot>>() == 40 && size_of::<Cold>() == 104);

/// Who signed: 0 for the account's owner, else one more than the key's number.
#[derive(Clone, Copy, Debug)]
struct SignerRef(u32);

impl Cold {
    /// Of an order that rests as its account's owner signed it.
    #[inline(always)]
    fn plain(message: &Order, signature: &Signature) -> Self {
        Self {
            signature: *signature,
            size: message.size,
            expiry: message.expiry,
            max_fee: message.max_fee,
            builder: message.builder,
            builder_fee: message.builder_fee,
            signer: SignerRef(0),
            kind: message.kind,
            reduce_only: message.reduce_only,
            altered: 0,
        }
    }
}

/// An order that is about to rest.
pub(crate) struct ToRest<'a> {
    pub(crate) signed: &'a Signed<Order>,
    /// Where it rests: at what was signed, or better.
    pub(crate) price: Ticks,
    pub(crate) remaining: Lots,
    /// Lots that were taken off it and did not fill.
    pub(crate) less: Lots,
    /// What the book shows at a time; 0 for all.
    pub(crate) display: Lots,
    /// What it shows now.
    pub(crate) shown: Lots,
    pub(crate) credit: FeeCredit,
    pub(crate) line: LineRef,
}

/// A resting order as it stands in the state's records.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rested {
    pub(crate) signed: Signed<Order>,
    /// Where it rests.
    pub(crate) price: Ticks,
    pub(crate) remaining: Lots,
    /// Lots that were taken off it and did not fill.
    pub(crate) less: Lots,
    /// What the book shows at a time; 0 for all.
    pub(crate) display: Lots,
    /// What it shows now.
    pub(crate) shown: Lots,
    pub(crate) credit: FeeCredit,
}

impl Rested {
    /// Whether its lots can be what is left of what was signed, and that is something that may rest in a market with these terms.
    pub(crate) fn is_possible(&self, terms: &Terms) -> bool {
        let Self { signed, price, remaining, less, display, shown, credit } = self;
        let Order { size, builder_fee, .. } = signed.message;
        if !(1..terms.ticks).contains(&price.0) || size.0 > SIZE_MAX || builder_fee > BUILDER_FEE_MAX {
            return false;
        }
        let left = signed.message.size.0.checked_sub(less.0);
        let shows = match *display {
            Lots(0) => shown == remaining,
            display => (1..=remaining.0.min(display.0)).contains(&shown.0),
        };
        left.is_some_and(|left| (1..=left).contains(&remaining.0)) && shows && credit.is_possible()
    }

    /// Whether some of it has filled.
    pub(crate) fn has_filled(&self) -> bool {
        self.signed.message.size.0 - self.less.0 > self.remaining.0
    }
}

/// Every resting order of the group.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    pub(crate) resting: xos_book::Orders<Hot, Cold>,
    /// How some differ from what was signed, and places there that are free again.
    altered: Vec<Altered>,
    unaltered: Vec<u32>,
    /// Keys that signed orders which rested, by number; and their numbers. Kept for ever, as accounts keep their keys.
    keys: Vec<Address>,
    numbers: BTreeMap<Address, u32>,
    /// Isolated accounts that had orders which rested, by number; and their numbers. An account's own number is too long to lie
    /// with the links.
    isolated: Vec<AccountId>,
    isolated_numbers: BTreeMap<AccountId, u32>,
    /// Those of which an order rests or waits.
    pub(crate) trees: Trees,
}

impl Orders {
    pub(crate) fn len(&self) -> usize {
        self.resting.len()
    }

    /// Adds an order of `account` behind all others at its price.
    pub(crate) fn insert(&mut self, book: &mut Book, account: &mut Account, order: &ToRest<'_>) -> Handle {
        let Signed { message, signature, signer } = order.signed;
        self.trees.hold(signature);
        let number = self.account_number(message.account);
        let hidden = Lots(order.remaining.0 - order.shown.0);
        let altered = Altered { less: order.less, price: message.price, display: order.display, hidden };
        let is_altered = order.less != Lots(0) || order.price != message.price || order.display != Lots(0);
        let altered = if is_altered { self.alter(altered) } else { 0 };
        let hot = Hot {
            account: number
                | if message.reduce_only { REDUCES } else { 0 }
                | if message.builder != 0 { PAYS_BUILDER } else { 0 }
                | if order.display != Lots(0) { HIDES } else { 0 },
            credit: order.credit,
            line: order.line,
        };
        let signer = if *signer == account.owner { SignerRef(0) } else { self.number(*signer) };
        let cold = || Cold { signer, altered, ..Cold::plain(message, signature) };
        let limit = Limit { side: message.side, price: order.price, lots: order.shown };
        let handle = book.insert(&mut self.resting, message.nonce, limit, hot, cold);
        account.orders.insert(&self.resting, message.nonce, handle);
        handle
    }

    /// Whether nothing but its price and lots is to be known of it: all of what was signed rests or has filled, all of it is
    /// shown, it pays no builder, reduces or not, and does not expire.
    #[inline(always)]
    pub(crate) fn is_plain(&self, handle: Handle) -> bool {
        let cold = self.resting.cold(handle);
        self.resting.get(handle).hot.account & MARKS == 0 && cold.altered == 0 && cold.expiry == TimeMs(0)
    }

    /// Puts a plain order of the same account in the place of another one, found in its index, whose handle it gets; behind all
    /// others at its price.
    #[inline]
    pub(crate) fn replace(
        &mut self,
        book: &mut Book,
        account: &mut Account,
        found: (usize, Handle),
        signed: &Signed<Order>,
        limit: Limit,
    ) {
        let (Signed { message, signature, .. }, (_, handle)) = (signed, found);
        self.trees.hold(signature);
        self.trees.release(&self.resting.cold(handle).signature);
        account.orders.rename(&self.resting, found, message.nonce);
        let order = book.replace(&mut self.resting, handle, message.nonce, limit);
        (order.credit, order.line) = (FeeCredit::default(), LineRef::default());
        *self.resting.cold_mut(handle) = Cold::plain(message, signature);
    }

    /// Adds a plain order behind all others at its price.
    pub(crate) fn insert_plain(
        &mut self,
        book: &mut Book,
        account: &mut Account,
        signed: &Signed<Order>,
        limit: Limit,
    ) {
        let Signed { message, signature, .. } = signed;
        self.trees.hold(signature);
        let hot = Hot { account: self.account_number(message.account), ..Hot::default() };
        let handle = book.insert(&mut self.resting, message.nonce, limit, hot, || Cold::plain(message, signature));
        account.orders.insert(&self.resting, message.nonce, handle);
    }

    /// Takes an order out of its book and its account's index.
    pub(crate) fn remove(&mut self, book: &mut Book, account: &mut Account, handle: Handle) {
        let indexed = account.orders.remove(&self.resting, self.nonce(handle));
        assert_eq!(indexed, Some(handle), "an account knows its orders");
        let Cold { altered, ref signature, .. } = *self.resting.cold(handle);
        self.trees.release(signature);
        if altered > 0 {
            self.unaltered.push(altered);
        }
        book.remove(&mut self.resting, handle);
    }

    /// Takes lots off an order that stays, without a fill: first those that the book does not show.
    pub(crate) fn reduce(&mut self, book: &mut Book, handle: Handle, by: Lots) {
        let mut shown = by;
        match self.resting.cold(handle).altered {
            0 => {
                let price = self.resting.price(handle);
                let altered = self.alter(Altered { less: by, price, display: Lots(0), hidden: Lots(0) });
                self.resting.cold_mut(handle).altered = altered;
            }
            place => {
                let altered = &mut self.altered[place as usize - 1];
                altered.less.0 += by.0;
                shown.0 -= by.0.min(altered.hidden.0);
                altered.hidden.0 = altered.hidden.0.saturating_sub(by.0);
            }
        }
        if shown > Lots(0) {
            book.reduce(&mut self.resting, handle, shown);
        }
    }

    /// Lots that the book shows fill, of an order that stays. If they are all that it shows, an iceberg shows the next part,
    /// behind all others at its price; how much.
    #[inline]
    pub(crate) fn fill(&mut self, book: &mut Book, handle: Handle, lots: Lots) -> Option<Lots> {
        if !self.hides(handle) || lots < self.shown(handle) {
            book.reduce(&mut self.resting, handle, lots);
            return None;
        }
        let place = self.resting.cold(handle).altered as usize - 1;
        let altered = &mut self.altered[place];
        let shown = altered.display.min(altered.hidden);
        altered.hidden.0 -= shown.0;
        book.requeue(&mut self.resting, handle, shown);
        Some(shown)
    }

    /// Fetches what a change of an order touches beside its links, which are to be there.
    #[inline]
    pub(crate) fn fetch_around(&self, handle: Handle) {
        let cold = self.resting.cold(handle);
        fetch(&cold.signature.r);
        fetch(&cold.signature.vs);
        fetch(&cold.altered);
        self.resting.fetch_around(handle);
    }

    #[inline]
    pub(crate) fn hot_mut(&mut self, handle: Handle) -> &mut Hot {
        self.resting.hot_mut(handle)
    }

    #[inline]
    pub(crate) fn credit(&self, handle: Handle) -> FeeCredit {
        self.resting.get(handle).hot.credit
    }

    #[inline]
    pub(crate) fn account(&self, handle: Handle) -> AccountId {
        let marked = self.resting.get(handle).hot.account;
        let number = marked & !MARKS;
        if marked & ISOLATED == 0 { AccountId(number.into()) } else { self.isolated[number as usize] }
    }

    /// Whether it only reduces.
    pub(crate) fn reduces(&self, handle: Handle) -> bool {
        self.resting.get(handle).hot.account & REDUCES != 0
    }

    /// Whether it pays a builder.
    pub(crate) fn pays_builder(&self, handle: Handle) -> bool {
        self.resting.get(handle).hot.account & PAYS_BUILDER != 0
    }

    #[inline]
    pub(crate) fn nonce(&self, handle: Handle) -> Nonce {
        self.resting.get(handle).nonce()
    }

    /// Whether it is an iceberg.
    #[inline]
    pub(crate) fn hides(&self, handle: Handle) -> bool {
        self.resting.get(handle).hot.account & HIDES != 0
    }

    /// What the book shows of it.
    #[inline]
    pub(crate) fn shown(&self, handle: Handle) -> Lots {
        self.resting.get(handle).remaining()
    }

    /// What the book shows of an iceberg at a time; 0 of any other.
    pub(crate) fn display(&self, handle: Handle) -> Lots {
        self.altered(handle).map_or(Lots(0), |altered| altered.display)
    }

    /// All that can still fill of it.
    #[inline]
    pub(crate) fn remaining(&self, handle: Handle) -> Lots {
        let shown = self.shown(handle);
        if self.hides(handle) {
            Lots(shown.0 + self.altered(handle).map_or(0, |altered| altered.hidden.0))
        } else {
            shown
        }
    }

    #[inline]
    pub(crate) fn market(&self, handle: Handle) -> MarketId {
        self.resting.market(handle)
    }

    #[inline]
    pub(crate) fn side(&self, handle: Handle) -> Side {
        self.resting.side(handle)
    }

    #[inline]
    pub(crate) fn price(&self, handle: Handle) -> Ticks {
        self.resting.price(handle)
    }

    #[inline]
    pub(crate) fn expiry(&self, handle: Handle) -> TimeMs {
        self.resting.cold(handle).expiry
    }

    /// Its size now, counting what has filled: what was signed less what was taken off.
    pub(crate) fn size(&self, handle: Handle) -> Lots {
        let less = self.altered(handle).map_or(0, |altered| altered.less.0);
        Lots(self.resting.cold(handle).size.0 - less)
    }

    /// How it differs from what was signed, if it does.
    pub(crate) fn altered(&self, handle: Handle) -> Option<Altered> {
        let place = (self.resting.cold(handle).altered as usize).checked_sub(1)?;
        Some(self.altered[place])
    }

    /// Its record.
    pub(crate) fn rested(&self, handle: Handle, accounts: &Accounts) -> Rested {
        Rested {
            signed: self.signed(handle, accounts),
            price: self.price(handle),
            remaining: self.remaining(handle),
            less: self.altered(handle).map_or(Lots(0), |altered| altered.less),
            display: self.display(handle),
            shown: self.shown(handle),
            credit: self.credit(handle),
        }
    }

    /// How many differ from what was signed.
    pub(crate) fn altered_len(&self) -> usize {
        self.altered.len() - self.unaltered.len()
    }

    /// Notes how an order differs; the number that it keeps of that.
    fn alter(&mut self, altered: Altered) -> u32 {
        if let Some(place) = self.unaltered.pop() {
            self.altered[place as usize - 1] = altered;
            return place;
        }
        self.altered.push(altered);
        u32::try_from(self.altered.len()).expect("memory ends long before 2^32 orders")
    }

    /// The order as its trader wrote it.
    pub(crate) fn order(&self, handle: Handle) -> Order {
        let Cold { size, expiry, max_fee, builder, builder_fee, kind, reduce_only, .. } = *self.resting.cold(handle);
        let price = self.altered(handle).map_or_else(|| self.price(handle), |altered| altered.price);
        Order {
            account: self.account(handle),
            market: self.market(handle),
            side: self.side(handle),
            kind,
            reduce_only,
            size,
            price,
            nonce: self.nonce(handle),
            expiry,
            max_fee,
            builder,
            builder_fee,
        }
    }

    /// The order with its signature.
    pub(crate) fn signed(&self, handle: Handle, accounts: &Accounts) -> Signed<Order> {
        let signature = self.resting.cold(handle).signature;
        Signed { message: self.order(handle), signature, signer: self.signer(handle, accounts) }
    }

    pub(crate) fn signer(&self, handle: Handle, accounts: &Accounts) -> Address {
        match self.resting.cold(handle).signer {
            SignerRef(0) => accounts[self.account(handle)].owner,
            SignerRef(number) => self.keys[number as usize - 1],
        }
    }

    /// The most that an order that stands like that may still be charged by its venue.
    #[inline]
    pub(crate) fn reserved_fee(&self, handle: Handle, standing: Standing, terms: &Terms) -> i128 {
        let base = terms.fee_base(standing.price, standing.lots);
        self.credit(handle).outstanding(base, terms.maker_fee.fee())
    }

    /// The most that it may still be charged by its venue and its builder.
    #[inline]
    pub(crate) fn reserved(&self, handle: Handle, standing: Standing, terms: &Terms) -> i128 {
        let fee = self.reserved_fee(handle, standing, terms);
        if !self.pays_builder(handle) {
            return fee;
        }
        let per_lot = builder_reserve(terms, standing.price, self.resting.cold(handle).builder_fee);
        fee + per_lot * i128::from(standing.lots.0)
    }

    /// What its account's margin holds for it.
    #[inline]
    pub(crate) fn standing(&self, handle: Handle) -> Standing {
        let (market, Limit { side, price, lots }) = self.resting.limit(handle);
        let hidden = if self.hides(handle) { self.altered(handle).map_or(0, |altered| altered.hidden.0) } else { 0 };
        Standing { market, side, price, lots: Lots(lots.0 + hidden) }
    }

    /// How an order's record names its account.
    fn account_number(&mut self, account: AccountId) -> u32 {
        let (number, mark) = if account.is_isolated() {
            let next = u32::try_from(self.isolated.len()).unwrap_or(u32::MAX);
            let number = *self.isolated_numbers.entry(account).or_insert(next);
            if number == next {
                self.isolated.push(account);
            }
            (number, ISOLATED)
        } else {
            (u32::try_from(account.0).unwrap_or(u32::MAX), 0)
        };
        assert!(number & MARKS == 0, "memory ends long before 2^28 accounts");
        number | mark
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
