//! Who pays fees, and who gets them. A builder's is the trader's beside the venue's.

use super::frame::net;
use super::*;

impl Naive {
    /// What the open frame's fees bring, by account.
    pub(crate) fn accrued(&self) -> BTreeMap<AccountId, Atoms> {
        self.frame_fees().0
    }

    /// The same, and what of the insurance fund's part pays losses that all share.
    pub(crate) fn frame_fees(&self) -> (BTreeMap<AccountId, Atoms>, i128) {
        let (mut pool, mut repaid) = (self.pool, 0);
        let mut accrued: BTreeMap<AccountId, Atoms> = BTreeMap::new();
        let mut pay = |account, amount| {
            if amount != 0 {
                accrued.entry(account).or_default().0 += amount;
            }
        };
        let part = |amount: i128, rate: Ppm| amount * i128::from(rate.0) / MILLION;
        for (market, lines) in net(&self.open.parts) {
            let venue = self.venues[&self.listing(market).terms.venue];
            let mut rest = 0;
            for line in lines {
                if let Some(payee) = self.builders.get(&BuilderId(line.order.message.builder)) {
                    pay(*payee, self.builder_fee(&line));
                }
                rest += line.fee.0;
                if let Some(payee) = self.referrer_of(line.order.message.account) {
                    let amount = part(line.fee.0.max(0), venue.referrer_share);
                    pay(payee, amount);
                    rest -= amount;
                }
            }
            let (protocol, insurance) = (part(rest, venue.protocol_share), part(rest, venue.insurance_share));
            pay(AccountId::PROTOCOL, protocol);
            let pays_losses = pool.repay(insurance);
            repaid += pays_losses;
            pay(AccountId::INSURANCE, insurance - pays_losses);
            pay(venue.treasury, rest - protocol - insurance);
        }
        (accrued, repaid)
    }

    pub(super) fn referrer_of(&self, account: AccountId) -> Option<AccountId> {
        self.builders.get(&self.accounts[&account].referrer).copied()
    }

    /// The builder's fee on a line, rounded down once.
    fn builder_fee(&self, line: &FillLine) -> i128 {
        let Order { market, builder_fee, .. } = line.order.message;
        let value = i128::try_from(line.notional).unwrap() * self.listing(market).quantum();
        floor(value * i128::from(builder_fee.0), MILLION)
    }

    /// What an account pays builders for the open frame's lines.
    pub(super) fn builder_fees(&self, account: AccountId) -> i128 {
        let lines = net(&self.open.parts).into_iter().flat_map(|(_, lines)| lines);
        lines.filter(|line| line.order.message.account == account).map(|line| self.builder_fee(&line)).sum()
    }

    /// What is held back for a builder: rounded up lot by lot, so that it covers any number of lines.
    pub(super) fn builder_reserve(&self, order: &Order) -> i128 {
        let lot = self.listing(order.market).value(order.price.0, 1);
        ceil(lot * i128::from(order.builder_fee.0), MILLION) * i128::from(order.size.0)
    }

    /// The most that an order may be charged if all of it trades at its price.
    pub(super) fn dearest_fee(&self, order: &Order, rate: Ppm) -> i128 {
        let base = self.listing(order.market).base(order.price.0, order.size.0);
        ceil(base * i128::from(rate.0), MILLION) + self.builder_reserve(order)
    }
}
