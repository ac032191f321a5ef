//! Money and assets that come, leave and move.
//!
//! What a message asked for is listed when its frame is sealed: the frame has the message, so it knows what the event of it does
//! not, where it went and which batch pays it. All else is listed with its event.

use xos_api::{TransferKind, TransferRecord};
use xos_types::{AccountId, Address, Atoms, Event, FeedId, Frame};

use crate::write::{At, entry_key};
use crate::{History, HistoryError, get, put};

impl History {
    pub(crate) fn note_transfers(&self, event: &Event, at: At) -> Result<(), HistoryError> {
        for (number, record) in (0..).zip(self.transfers_by(event, at)?) {
            put(&self.transfers, &entry_key(record.account, at.moment, number), &record)?;
        }
        Ok(())
    }

    fn transfers_by(&self, event: &Event, at: At) -> Result<Vec<TransferRecord>, HistoryError> {
        let cash = |account, kind, amount: Atoms| plain(account, kind, self.token, amount.0.unsigned_abs(), at);
        let asset = |account, kind, asset, amount| -> Result<Vec<TransferRecord>, HistoryError> {
            let token = self.token_of(asset)?;
            Ok(token.map(|token| plain(account, kind, token, amount, at)).into_iter().collect())
        };
        Ok(match *event {
            Event::Deposited { account, amount } => vec![cash(account, TransferKind::Deposit, amount)],
            Event::FeesPaid { account, amount } => vec![cash(account, TransferKind::Fees, amount)],
            Event::Withdrawn { account, amount, forced: true } => vec![cash(account, TransferKind::Withdrawal, amount)],
            Event::PaidInPart { account, claim, paid } => vec![cash(account, TransferKind::SharedLoss, claim - paid)],
            Event::AssetDeposited { account, asset: id, amount, credited } => {
                asset(account, if credited { TransferKind::Deposit } else { TransferKind::Claimable }, id, amount)?
            }
            Event::AssetWithdrawn { account, asset: id, amount, forced: true } => {
                asset(account, TransferKind::Withdrawal, id, amount)?
            }
            Event::FrameSealed(ref frame) => asked_for(frame, at),
            _ => Vec::new(),
        })
    }

    fn token_of(&self, asset: FeedId) -> Result<Option<Address>, HistoryError> {
        get(&self.assets, &[asset.0])
    }
}

/// What the messages of a frame moved, in the batch's order.
fn asked_for(frame: &Frame, at: At) -> Vec<TransferRecord> {
    let withdrawals = frame.withdrawals.iter().map(|signed| {
        let asked = signed.message;
        let left = plain(asked.account, TransferKind::Withdrawal, asked.token, asked.amount, at);
        TransferRecord { nonce: Some(asked.nonce), ..left }
    });
    let transfers = frame.transfers.iter().flat_map(|signed| {
        let asked = signed.message;
        let gateway = (asked.gateway != Address::ZERO).then_some(asked.gateway);
        let sent = plain(asked.account, TransferKind::Sent, asked.token, asked.amount, at);
        let received = plain(asked.to, TransferKind::Received, asked.token, asked.amount, at);
        let sent = TransferRecord { other: Some(asked.to), gateway, nonce: Some(asked.nonce), ..sent };
        let received = TransferRecord { other: Some(asked.account), ..received };
        [Some(sent), gateway.is_none().then_some(received)].into_iter().flatten()
    });
    withdrawals.chain(transfers).map(|record| TransferRecord { batch: frame.id, ..record }).collect()
}

fn plain(account: AccountId, kind: TransferKind, token: Address, amount: u128, at: At) -> TransferRecord {
    let (sequence, time) = (at.moment.sequence, at.time);
    TransferRecord { account, kind, token, amount, other: None, gateway: None, nonce: None, batch: 0, sequence, time }
}
