//! What the group contract does with a batch (`RiskGroup.settle`), step by step: every frame that the engine seals must
//! pass, and must leave cash and positions as the engine had them.

use std::collections::{BTreeMap, BTreeSet};

use xos_types::*;

fn share(amount: i128, rate: Ppm) -> i128 {
    amount * i128::from(rate.0) / 1_000_000
}

#[derive(Debug, Default)]
pub(crate) struct Contract {
    last: (u64, u64, u64),
    pub(crate) cash: BTreeMap<AccountId, i128>,
    pub(crate) positions: BTreeMap<(AccountId, EventId), Vec<i64>>,
    events: BTreeMap<EventId, (EventConfig, Option<Vec<u64>>)>,
    phases: BTreeMap<EventId, Phase>,
    venues: BTreeMap<VenueId, VenueConfig>,
    builders: BTreeMap<BuilderId, AccountId>,
    referrers: BTreeMap<AccountId, BuilderId>,
    floors: BTreeMap<AccountId, Nonce>,
    owners: BTreeMap<AccountId, Address>,
    spent: BTreeSet<(AccountId, Nonce)>,
    partly_filled: BTreeMap<(AccountId, Nonce), (Order, u64)>,
    inbox: u64,
    pub(crate) tokens: i128,
}

impl Contract {
    pub(crate) fn new(governance: Address) -> Self {
        let founders = [AccountId::INSURANCE, AccountId::PROTOCOL];
        Self { owners: founders.map(|account| (account, governance)).into(), ..Self::default() }
    }

    pub(crate) fn settle(&mut self, frame: &Frame) {
        let (id, time, sequence) = self.last;
        assert_eq!(frame.id, id + 1, "WrongBatchId");
        assert!(frame.time.0 >= time, "FrameTimeWentBack");
        assert!(frame.sequence > sequence, "SequenceWentBack");
        let mut touched = BTreeSet::new();
        self.consume(&frame.inbox, &mut touched);
        self.redeem(&frame.redemptions, &mut touched);
        self.fill(frame, &mut touched);
        self.withdraw(frame, &mut touched);
        for account in touched {
            assert!(self.health(account) >= 0, "MarginShortfall {account}");
        }
        self.last = (frame.id, frame.time.0, frame.sequence);
        let cash: i128 = self.cash.values().sum();
        let owed: i128 = self
            .positions
            .iter()
            .filter_map(|((_, event), lots)| {
                let (config, payouts) = &self.events[event];
                let payouts = payouts.as_ref()?;
                let value: i128 =
                    lots.iter().zip(payouts).map(|(lots, pay)| i128::from(*lots) * i128::from(*pay)).sum();
                Some(value * i128::from(config.terms.quantum))
            })
            .sum();
        assert_eq!(cash + owed, self.tokens, "cash and unpaid redemptions are the tokens in custody");
    }

    fn health(&self, account: AccountId) -> i128 {
        self.cash.get(&account).copied().unwrap_or(0) + self.worst_payoff(account)
    }

    pub(crate) fn worst_payoff(&self, account: AccountId) -> i128 {
        let own = self.positions.range((account, EventId(0))..=(account, EventId(u32::MAX)));
        own.map(|((_, event), lots)| i128::from(*lots.iter().min().unwrap()) * self.events[event].0.payout_per_lot())
            .sum()
    }

    fn consume(&mut self, items: &[InboxItem], touched: &mut BTreeSet<AccountId>) {
        for item in items {
            assert_eq!(item.index, self.inbox, "InboxMismatch");
            self.inbox += 1;
            match &item.payload {
                InboxPayload::Deposit { account, owner, amount, .. } => {
                    self.owners.entry(*account).or_insert(*owner);
                    *self.cash.entry(*account).or_default() += i128::try_from(*amount).unwrap();
                    self.tokens += i128::try_from(*amount).unwrap();
                }
                InboxPayload::EventOpened { event, config } => {
                    self.events.insert(*event, (config.clone(), None));
                }
                InboxPayload::EventResolved { event, payouts } => {
                    self.events.get_mut(event).unwrap().1 = Some(payouts.clone());
                }
                InboxPayload::VenueSet { venue, config } => {
                    self.venues.insert(*venue, *config);
                }
                InboxPayload::BuilderSet { builder, account } => {
                    self.builders.insert(*builder, *account);
                }
                InboxPayload::ReferrerSet { account, referrer } => {
                    self.referrers.insert(*account, *referrer);
                }
                InboxPayload::CancelAll { account, floor } => {
                    let raised = self.floors.entry(*account).or_default();
                    *raised = *floor.max(raised);
                }
                InboxPayload::PhaseSet { market, phase } => {
                    self.phases.insert(market.event(), *phase);
                }
                InboxPayload::ForcedWithdrawal { .. }
                | InboxPayload::TermsSet(_)
                | InboxPayload::HoursSet { .. }
                | InboxPayload::FeeTiersSet { .. } => {}
                other => panic!("not part of these lives: {other:?}"),
            }
        }
        // When everything is known, in the order of the queue.
        for item in items {
            let InboxPayload::ForcedWithdrawal { account, amount, .. } = item.payload else { continue };
            let paid = self.health(account).max(0).min(i128::try_from(amount).unwrap_or(i128::MAX));
            *self.cash.entry(account).or_default() -= paid;
            self.tokens -= paid;
            touched.insert(account);
        }
    }

    fn redeem(&mut self, redemptions: &[Redemption], touched: &mut BTreeSet<AccountId>) {
        for Redemption { account, market } in redemptions {
            assert_eq!(market.outcome(), 0, "an event is redeemed by its first market");
            let event = market.event();
            let (config, payouts) = &self.events[&event];
            let payouts = payouts.as_ref().expect("MarketNotDelisted");
            let lots = self.positions.remove(&(*account, event)).expect("NothingToRedeem");
            assert!(lots.iter().any(|lots| *lots != 0), "NothingToRedeem");
            let value: i128 = lots.iter().zip(payouts).map(|(lots, pay)| i128::from(*lots) * i128::from(*pay)).sum();
            *self.cash.get_mut(account).unwrap() += value * i128::from(config.terms.quantum);
            touched.insert(*account);
        }
    }

    fn fill(&mut self, frame: &Frame, touched: &mut BTreeSet<AccountId>) {
        let mut previous = MarketId(0);
        for (market, lines) in &frame.markets {
            assert!(*market > previous, "MarketsNotAscending");
            previous = *market;
            let (config, payouts) = self.events[&market.event()].clone();
            let phase = self.phases.get(&market.event()).copied().unwrap_or_default();
            assert!(payouts.is_none() && market.outcome() < config.outcomes, "MarketNotOpen");
            assert!(matches!(phase, Phase::Open | Phase::ReduceOnly | Phase::Auction), "MarketNotOpen");
            let venue = self.venues[&config.terms.venue];
            let (mut sizes, mut notionals, mut fees) = (0i128, 0i128, 0i128);
            for line in lines {
                self.check_line(*market, line, &config, frame.time);
                let account = line.order.message.account;
                let sign = if line.order.message.side == Side::Buy { 1 } else { -1 };
                let size = sign * i64::try_from(line.filled.0).unwrap();
                let notional = i128::from(sign) * i128::try_from(line.notional).unwrap();
                sizes += i128::from(size);
                notionals += notional;
                fees += line.fee.0 - self.pay_referrer(account, line.fee.0, &venue);
                let value = notional * i128::from(config.terms.quantum);
                *self.cash.get_mut(&account).unwrap() -= value + line.fee.0;
                let held = self.positions.entry((account, market.event()));
                let held = held.or_insert_with(|| vec![0; config.outcomes.into()]);
                let position = &mut held[usize::from(market.outcome())];
                let before = *position;
                *position += size;
                let reduces = before != 0 && before.signum() != size.signum() && size.abs() <= before.abs();
                let must_reduce = phase == Phase::ReduceOnly || line.order.message.reduce_only;
                assert!(reduces || !must_reduce, "OnlyReducing");
                let one_price =
                    line.notional * u128::from(lines[0].filled.0) == lines[0].notional * u128::from(line.filled.0);
                assert!(phase != Phase::Auction || one_price, "NotOnePrice");
                touched.insert(account);
            }
            assert_eq!(sizes, 0, "SizesDoNotSumToZero");
            assert_eq!(notionals, 0, "NotionalsDoNotSumToZero");
            assert!(fees >= 0, "RebatesAboveFees");
            let (protocol, insurance) = (share(fees, venue.protocol_share), share(fees, venue.insurance_share));
            *self.cash.entry(AccountId::PROTOCOL).or_default() += protocol;
            *self.cash.entry(AccountId::INSURANCE).or_default() += insurance;
            *self.cash.entry(venue.treasury).or_default() += fees - protocol - insurance;
        }
    }

    fn pay_referrer(&mut self, account: AccountId, fee: i128, venue: &VenueConfig) -> i128 {
        let payee = self.referrers.get(&account).and_then(|referrer| self.builders.get(referrer));
        let Some(payee) = payee.filter(|_| fee > 0) else { return 0 };
        let amount = share(fee, venue.referrer_share);
        *self.cash.entry(*payee).or_default() += amount;
        amount
    }

    fn check_line(&mut self, market: MarketId, line: &FillLine, config: &EventConfig, time: TimeMs) {
        let order = line.order.message;
        assert_eq!(order.market, market, "OrderForAnotherMarket");
        assert_eq!(self.owners[&order.account], line.order.signer, "OrderSignedByAnother");
        assert!(order.builder == 0 && order.builder_fee.0 == 0, "NotSupported");
        assert!(order.expiry.0 == 0 || time <= order.expiry, "OrderExpired");
        let floor = self.floors.get(&order.account).copied().unwrap_or_default();
        assert!(order.nonce >= floor, "NonceBelowFloor");
        assert!(order.price.0 >= 1 && order.price.0 < config.ticks.into(), "PriceOutOfRange");
        let filled = u128::from(line.filled.0);
        assert!(filled > 0, "EmptyFill");
        assert!(
            line.notional >= filled && line.notional <= filled * u128::from(config.ticks - 1),
            "NotionalOutOfRange"
        );
        let limit = filled * u128::from(order.price.0);
        let within = if order.side == Side::Buy { line.notional <= limit } else { line.notional >= limit };
        assert!(within, "PriceWorseThanLimit");
        let terms = config.terms;
        let value = line.notional * u128::from(terms.quantum);
        let certain = filled * u128::from(config.ticks);
        let base = if terms.curve { (value * (certain - line.notional)).div_ceil(certain) } else { value };
        let fee_limit = (base * u128::from(terms.highest_fee().0)).div_ceil(1_000_000);
        let signed_limit = (value * u128::from(order.max_fee.0)).div_ceil(1_000_000);
        let charged = line.fee.0.max(0).unsigned_abs();
        assert!(charged <= fee_limit && charged <= signed_limit, "FeeAboveLimit");
        let rebate_limit = base * u128::from(terms.maker_fee.rebate().0) / 1_000_000;
        assert!(line.fee.0.min(0).unsigned_abs() <= rebate_limit, "RebateAboveLimit");

        let name = (order.account, order.nonce);
        assert!(!self.spent.contains(&name), "OrderSpent");
        let (body, before) = self.partly_filled.remove(&name).unwrap_or((order, 0));
        assert_eq!(body, order, "NonceOfAnotherOrder");
        let total = before + line.filled.0;
        assert!(total <= order.size.0, "OrderOverfilled");
        assert!(order.kind != OrderKind::FillOrKill || line.filled == order.size, "FillOrKillNotFilled");
        let may_rest = matches!(order.kind, OrderKind::GoodTillCancelled | OrderKind::PostOnly);
        if total < order.size.0 && may_rest {
            self.partly_filled.insert(name, (order, total));
        } else {
            self.spent.insert(name);
        }
    }

    fn withdraw(&mut self, frame: &Frame, touched: &mut BTreeSet<AccountId>) {
        for signed in &frame.withdrawals {
            let Withdraw { account, amount, nonce, expiry, .. } = signed.message;
            assert_eq!(self.owners[&account], signed.signer, "MessageSignedByAnother");
            assert!(amount > 0, "ZeroAmount");
            assert!(expiry.0 == 0 || frame.time <= expiry, "MessageExpired");
            assert!(!self.partly_filled.contains_key(&(account, nonce)), "NonceOfAnotherOrder");
            assert!(self.spent.insert((account, nonce)), "NonceSpent");
            *self.cash.get_mut(&account).unwrap() -= i128::try_from(amount).unwrap();
            self.tokens -= i128::try_from(amount).unwrap();
            touched.insert(account);
        }
    }
}
