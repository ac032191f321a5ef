//! What the engine says that an order would do, and at which prices accounts fail, against what happens then.

use xos_engine::limits::INDEX_MAX;
use xos_engine::{PositionMargin, Preview};
use xos_types::*;

use super::life::Life;

impl Life {
    /// What the engine says of an order that is about to come, if its account's owner has signed it.
    pub(crate) fn foresee(&self, command: &Command) -> Option<Result<Preview, Reject>> {
        let Command::Place { order, instructions } = command else { return None };
        let owner = self.engine.account(order.message.account).map(|account| account.owner);
        let is_owners = owner.is_none_or(|owner| owner == order.signer);
        is_owners.then(|| self.engine.preview(&order.message, *instructions))
    }

    /// Compares that with what the order did.
    pub(crate) fn compare_foreseen(&mut self, command: &Command, foreseen: Result<Preview, Reject>, events: &[Event]) {
        let Command::Place { order: Signed { message: order, .. }, .. } = command else { return };
        let refused = events.iter().find_map(|event| match event {
            Event::Rejected { reject, .. } => Some(reject),
            _ => None,
        });
        let preview = match (foreseen, refused) {
            (Err(foreseen), Some(reject)) => return assert_eq!(foreseen, *reject, "of {order:?}"),
            (foreseen, refused) => {
                assert_eq!(refused, None, "{foreseen:?} of {order:?}");
                foreseen.unwrap_or_else(|reject| panic!("{reject:?} of {order:?}, which was taken"))
            }
        };
        let (mut filled, mut notional, mut fees, mut rests) = (0, 0, 0, Lots(0));
        for event in events {
            match event {
                Event::Filled(fill) if (fill.taker, fill.taker_nonce) == (order.account, order.nonce) => {
                    filled += fill.size.0;
                    notional += u128::from(fill.price.0) * u128::from(fill.size.0);
                    fees += fill.taker_fee.0;
                }
                Event::Rested { account, nonce, remaining, .. }
                    if (*account, *nonce) == (order.account, order.nonce) =>
                {
                    rests = *remaining;
                }
                _ => {}
            }
        }
        // An order that only reduces gives way to its account's others, and what hangs on an order is not followed.
        let others = |event: &Event| match event {
            Event::Cancelled { reason, .. } | Event::Reduced { reason, .. } => {
                use CancelReason::{Margin, NothingToFollow, OneCancelsOther, OnlyReducing};
                matches!(reason, Margin | NothingToFollow | OneCancelsOther | OnlyReducing)
            }
            _ => false,
        };
        if events.iter().any(others) {
            assert!(preview.filled.0 >= filled, "{preview:?} of {order:?}, of which {filled} filled");
            *self.seen.entry("Foreseen in part".into()).or_default() += 1;
            return;
        }
        let margin = self.engine.margin(order.account).unwrap();
        let Preview { rests: would_rest, margin: foreseen, .. } = &preview;
        assert_eq!((preview.filled.0, preview.notional, *would_rest), (filled, notional, rests), "{order:?}");
        assert_eq!(*foreseen, margin, "{order:?} {events:?}");
        if order.builder == 0 {
            assert_eq!(preview.fees.0, fees, "{order:?}");
        }
        *self.seen.entry("Foreseen".into()).or_default() += 1;
    }

    /// At the prices of which the engine says that accounts fail there they do, and at none on the way to them.
    pub(crate) fn compare_liquidations(&mut self) {
        let mut naive = self.naive.clone();
        for account in self.naive.accounts.keys() {
            for PositionMargin { feed, value, liquidation, .. } in self.engine.margin(*account).unwrap().positions {
                let state = &self.naive.accounts[account];
                let now = naive.feeds[&feed].price;
                let mut maintenance = |price| {
                    naive.feeds.get_mut(&feed).unwrap().price = price;
                    let health = naive.health(state);
                    naive.feeds.get_mut(&feed).unwrap().price = now;
                    health.maintenance()
                };
                // The last price at which it does not fail.
                let last = match liquidation.map(u128::cast_signed) {
                    Some(price) => {
                        assert!(maintenance(price) < 0, "{account} at {price}");
                        price + (now - price).signum()
                    }
                    None if value.0 < 0 => INDEX_MAX,
                    None => 0,
                };
                if liquidation == Some(now.unsigned_abs()) {
                    continue;
                }
                for part in 0..=16 {
                    let price = last + (now - last) / 16 * part;
                    assert!(maintenance(price) >= 0, "{account} at {price}, between {now} and {last}");
                }
                let name = if liquidation.is_some() { "Would fail at a price" } else { "Would fail at no price" };
                *self.seen.entry(name.into()).or_default() += 1;
            }
        }
    }
}
