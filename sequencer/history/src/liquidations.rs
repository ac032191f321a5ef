//! What becomes of accounts that fail, from each side: whatever changes hands is one record of the account that it is done to, and
//! one of whoever takes it.

use xos_api::{LiquidationKind, LiquidationRecord, LiquidationRole};
use xos_types::{AccountId, Atoms, Counterparty, Event};

use crate::write::{At, entry_key};
use crate::{History, HistoryError, put};

impl History {
    pub(crate) fn note_liquidations(&self, event: &Event, at: At) -> Result<(), HistoryError> {
        for (number, record) in (0..).zip(self.liquidations_by(event, at)?) {
            put(&self.liquidations, &entry_key(record.account, at.moment, number), &record)?;
        }
        Ok(())
    }

    fn liquidations_by(&self, event: &Event, at: At) -> Result<Vec<LiquidationRecord>, HistoryError> {
        let of = |account, kind| LiquidationRecord {
            account,
            kind,
            role: LiquidationRole::Subject,
            other: None,
            market: None,
            asset: None,
            amount: 0,
            cash: Atoms::ZERO,
            penalty: Atoms::ZERO,
            shared: Atoms::ZERO,
            nonce: None,
            sequence: at.moment.sequence,
            time: at.time,
        };
        Ok(match *event {
            Event::Flagged { account } => vec![of(account, LiquidationKind::Flagged)],
            Event::CloseForced { account, market, size } => {
                let held = self.position_before(account, market, at.moment)?.unwrap_or(0);
                let amount = -i128::from(size.0) * i128::from(held.signum());
                vec![LiquidationRecord { market: Some(market), amount, ..of(account, LiquidationKind::CloseForced) }]
            }
            Event::Liquidated { account, keeper, nonce, market, size, value, charge, keeper_part, forced } => {
                let subject = LiquidationRecord {
                    market: Some(market),
                    amount: -i128::from(size.0),
                    cash: value - charge,
                    penalty: charge,
                    nonce: (!forced).then_some(nonce),
                    ..of(account, LiquidationKind::Liquidated)
                };
                let [subject, taker] = both(subject, LiquidationRole::Keeper, keeper);
                vec![subject, LiquidationRecord { cash: keeper_part - value, penalty: -keeper_part, ..taker }]
            }
            Event::Converted { account, keeper, nonce, asset, amount, paid } => {
                let subject = LiquidationRecord {
                    asset: Some(asset),
                    amount: -signed(amount),
                    cash: paid,
                    nonce: Some(nonce),
                    ..of(account, LiquidationKind::Converted)
                };
                both(subject, LiquidationRole::Keeper, keeper).into()
            }
            Event::TakenOver { account, market, size, received } => {
                let subject = LiquidationRecord {
                    market: Some(market),
                    amount: -i128::from(size.0),
                    cash: received,
                    ..of(account, LiquidationKind::TakenOver)
                };
                both(subject, LiquidationRole::Fund, AccountId::INSURANCE).into()
            }
            Event::Deleveraged { account, market, size, received, ref others } => {
                let subject = LiquidationRecord { market: Some(market), ..of(account, LiquidationKind::Deleveraged) };
                let pairs = others.iter().zip(parts_of(received, others)).flat_map(|(other, cash)| {
                    let amount = -i128::from(other.size.0) * i128::from(size.0.signum());
                    let subject = LiquidationRecord { amount, cash, ..subject };
                    both(subject, LiquidationRole::Opposite, other.account)
                });
                pairs.collect()
            }
            Event::Swept { account, asset, amount } => {
                let subject = LiquidationRecord {
                    asset: Some(asset),
                    amount: -signed(amount),
                    ..of(account, LiquidationKind::Swept)
                };
                both(subject, LiquidationRole::Fund, AccountId::INSURANCE).into()
            }
            Event::Bankrupt { account, debt, paid } => {
                let subject =
                    LiquidationRecord { cash: debt, shared: debt - paid, ..of(account, LiquidationKind::Bankrupt) };
                let [relieved, fund] = both(subject, LiquidationRole::Fund, AccountId::INSURANCE);
                // Of the fund's own debt all is shared, and it stays open.
                if account == AccountId::INSURANCE {
                    vec![subject]
                } else {
                    vec![relieved, LiquidationRecord { cash: -paid, ..fund }]
                }
            }
            _ => Vec::new(),
        })
    }
}

/// Both sides of what was done to an account.
fn both(subject: LiquidationRecord, role: LiquidationRole, other: AccountId) -> [LiquidationRecord; 2] {
    let taker = LiquidationRecord {
        account: other,
        role,
        other: Some(subject.account),
        amount: -subject.amount,
        cash: -subject.cash,
        ..subject
    };
    [LiquidationRecord { other: Some(other), ..subject }, taker]
}

/// What each of the others paid of a sum, each the difference of two rounded totals, as the engine shares it out. If they closed
/// a part of the position only, the engine rounded the totals of the whole, which the event does not tell: then a part may be
/// an atom off, and still they add up.
fn parts_of(received: Atoms, others: &[Counterparty]) -> impl Iterator<Item = Atoms> {
    let whole = others.iter().map(|other| i128::from(other.size.0)).sum::<i128>().max(1);
    let (each, rest) = (received.0.div_euclid(whole), received.0.rem_euclid(whole));
    let (mut closed, mut before) = (0, 0);
    others.iter().map(move |other| {
        closed += i128::from(other.size.0);
        // The rest is less than the lots, and so are those that are closed: 63 bits each.
        let total = each * closed + rest * closed / whole;
        Atoms(total - std::mem::replace(&mut before, total))
    })
}

fn signed(amount: u128) -> i128 {
    i128::try_from(amount).unwrap_or(i128::MAX)
}
