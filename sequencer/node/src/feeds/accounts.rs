//! Whom an event or a frame concerns.

use std::collections::BTreeSet;

use xos_types::{AccountId, Event, Frame, InboxPayload, Rescue};

/// A frame that was sealed, and the accounts that have something in it.
#[derive(Clone, Debug)]
pub(crate) struct SealedFrame {
    /// Number of its batch.
    pub(crate) id: u64,
    pub(crate) accounts: BTreeSet<AccountId>,
}

impl SealedFrame {
    pub(crate) fn of(frame: &Frame) -> Self {
        let mut accounts = BTreeSet::new();
        for item in &frame.inbox {
            match &item.payload {
                InboxPayload::Deposit { account, .. }
                | InboxPayload::ForcedWithdrawal { account, .. }
                | InboxPayload::CancelAll { account, .. }
                | InboxPayload::ForcedClose { account, .. }
                | InboxPayload::SignerSet { account, .. }
                | InboxPayload::MembershipSet { account, .. } => {
                    accounts.insert(*account);
                }
                _ => {}
            }
        }
        accounts.extend(frame.redemptions.iter().map(|redemption| redemption.account));
        for rescue in &frame.rescues {
            match rescue {
                Rescue::Flag { account } | Rescue::Takeover { account, .. } | Rescue::Bankruptcy { account } => {
                    accounts.insert(*account);
                }
                Rescue::Liquidation(signed) => accounts.extend([signed.message.account, signed.message.keeper]),
                Rescue::Conversion(signed) => accounts.extend([signed.message.account, signed.message.keeper]),
                Rescue::Deleveraging { account, others, .. } => {
                    accounts.insert(*account);
                    accounts.extend(others.iter().map(|other| other.account));
                }
            }
        }
        let lines = frame.markets.iter().flat_map(|(_, lines)| lines);
        accounts.extend(lines.map(|line| line.order.message.account));
        accounts.extend(frame.withdrawals.iter().map(|signed| signed.message.account));
        accounts.extend(frame.transfers.iter().flat_map(|signed| [signed.message.account, signed.message.to]));
        Self { id: frame.id, accounts }
    }
}

/// Whether it is of accounts that fail, and of what becomes of them.
pub(crate) fn is_rescue(event: &Event) -> bool {
    matches!(
        event,
        Event::Failing { .. }
            | Event::Flagged { .. }
            | Event::Liquidated { .. }
            | Event::Converted { .. }
            | Event::TakenOver { .. }
            | Event::Deleveraged { .. }
            | Event::Swept { .. }
            | Event::Bankrupt { .. }
            | Event::LossesRepaid { .. }
    )
}

/// Every account that an event concerns.
pub(crate) fn concerned(event: &Event) -> impl Iterator<Item = AccountId> + use<'_> {
    let others = if let Event::Deleveraged { others, .. } = event { others.as_slice() } else { &[] };
    parties(event).into_iter().flatten().chain(others.iter().map(|other| other.account))
}

fn parties(event: &Event) -> [Option<AccountId>; 2] {
    match event {
        Event::Filled(fill) if fill.maker != fill.taker => [Some(fill.maker), Some(fill.taker)],
        Event::Filled(fill) => [Some(fill.taker), None],
        Event::AuctionFilled(fill) if fill.buyer.account == fill.seller.account => [Some(fill.buyer.account), None],
        Event::AuctionFilled(fill) => [Some(fill.buyer.account), Some(fill.seller.account)],
        Event::AccountOpened { account, .. }
        | Event::Deposited { account, .. }
        | Event::Redeemed { account, .. }
        | Event::Rested { account, .. }
        | Event::Reduced { account, .. }
        | Event::Cancelled { account, .. }
        | Event::Triggered { account, .. }
        | Event::Released { account, .. }
        | Event::Refused { account, .. }
        | Event::Refilled { account, .. }
        | Event::CancelAfterSet { account, .. }
        | Event::FloorRaised { account, .. }
        | Event::Withdrawn { account, .. }
        | Event::AssetDeposited { account, .. }
        | Event::AssetWithdrawn { account, .. }
        | Event::Failing { account }
        | Event::Flagged { account }
        | Event::CloseForced { account, .. }
        | Event::TakenOver { account, .. }
        | Event::Deleveraged { account, .. }
        | Event::Bankrupt { account, .. }
        | Event::PaidInPart { account, .. }
        | Event::RescueQueued { keeper: account, .. }
        | Event::RescueRefused { keeper: account, .. }
        | Event::Closed { account, .. }
        | Event::SignerSet { account, .. }
        | Event::MembershipSet { account, .. }
        | Event::ReferrerSet { account, .. }
        | Event::BuilderSet { account, .. }
        | Event::FeesPaid { account, .. }
        | Event::Rejected { account, .. } => [Some(*account), None],
        Event::Accepted { order } | Event::Planned { order, .. } => [Some(order.account), None],
        Event::Transferred { account, to, .. } => [Some(*account), Some(*to)],
        Event::Liquidated { account, keeper, .. } | Event::Converted { account, keeper, .. } => {
            [Some(*account), Some(*keeper)]
        }
        Event::Swept { account, .. } => [Some(*account), Some(AccountId::INSURANCE)],
        Event::EventOpened { .. }
        | Event::EventResolved { .. }
        | Event::PhaseSet { .. }
        | Event::HoursSet { .. }
        | Event::SessionTurned { .. }
        | Event::AuctionHeld { .. }
        | Event::VenueSet { .. }
        | Event::FeeTiersSet { .. }
        | Event::TermsSet(_)
        | Event::AssetSet { .. }
        | Event::SpotListed { .. }
        | Event::PerpetualSet { .. }
        | Event::Priced { .. }
        | Event::PriceLeftOut { .. }
        | Event::Funded { .. }
        | Event::LossesRepaid { .. }
        | Event::FrameSealed(_) => [None, None],
    }
}
