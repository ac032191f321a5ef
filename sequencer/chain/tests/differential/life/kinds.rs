//! Assets, spot markets and perpetuals in a life: how they come to be, how their prices move, who trades them, and what the
//! contract must say of them after each batch.

use std::collections::BTreeMap;

use crate::evm::IMockPriceSource;
use alloy::primitives::aliases::{I24, U24, U96};
use alloy::primitives::{Address, B256, U256};
use xos_chain::abi::{self, IGateway, IGroupViews, IToken};
use xos_engine::{FeedView, Health, HoldingView};
use xos_types::{
    AccountId, Amend, Command, EventId, FeedId, InboxPayload, Instructions, Lots, MarketId, Nonce, Order, OrderKind,
    Ppm, PriceUpdate, Side, Ticks, TimeMs, Transfer, Withdraw,
};

use super::{Life, PARTS, Snapshot, share};

/// A step that needs more than outcomes.
#[derive(Clone, Debug)]
pub(crate) enum KindStep {
    Admit(AssetPlan),
    Spot {
        asset: u8,
        terms: TermsPlan,
    },
    Perpetual {
        terms: TermsPlan,
        perpetual: PerpetualPlan,
    },
    /// The same perpetual with other terms.
    Change {
        market: u8,
        terms: TermsPlan,
        perpetual: PerpetualPlan,
    },
    Phase {
        market: u8,
        phase: u8,
    },
    Deposit {
        account: u8,
        asset: u8,
        amount: u64,
    },
    Withdraw {
        account: u8,
        asset: u8,
        part: u8,
    },
    ForceWithdrawal {
        account: u8,
        asset: u8,
        part: u8,
    },
    Transfer {
        account: u8,
        to: u8,
        asset: u8,
        part: u8,
    },
    Trade(TradePlan),
}

#[derive(Clone, Debug)]
pub(crate) struct AssetPlan {
    /// An asset that is there counts in another way; beyond that another is admitted.
    pub(crate) pick: u8,
    pub(crate) lot: u64,
    pub(crate) weights: [u32; 3],
    /// Most lots that the group takes in; 0 for as many as come.
    pub(crate) cap: u64,
    pub(crate) feed: FeedPlan,
}

#[derive(Clone, Debug)]
pub(crate) struct FeedPlan {
    pub(crate) unit: u64,
    pub(crate) max_age: u32,
    pub(crate) max_gap: u32,
    pub(crate) max_move: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct TermsPlan {
    pub(crate) venue: u8,
    pub(crate) quantum: u64,
    pub(crate) taker_fee: u32,
    /// A share of the taker's fee as a rebate, if negative, in hundredths.
    pub(crate) maker_fee: i32,
    pub(crate) restricted: bool,
    pub(crate) isolated_only: bool,
    pub(crate) caps: [u64; 2],
}

#[derive(Clone, Debug)]
pub(crate) struct PerpetualPlan {
    /// Thousandths, ascending after sorting.
    pub(crate) initial: [u32; 4],
    /// Percent of the initial ones.
    pub(crate) maintenance: u32,
    pub(crate) bounds: [u32; 3],
    pub(crate) funding_cap: u32,
    pub(crate) loss_cap: u64,
    pub(crate) feed: FeedPlan,
}

/// An order in a spot or perpetual market.
#[derive(Clone, Debug)]
pub(crate) struct TradePlan {
    pub(crate) account: u8,
    pub(crate) market: u8,
    pub(crate) buy: bool,
    pub(crate) kind: u8,
    /// Of the index price: 500 is at it, 0 and 1,000 a tenth away.
    pub(crate) price: u16,
    pub(crate) size: u64,
    pub(crate) twist: u8,
    /// Of what its plan is made; 0 for none.
    pub(crate) plan: u64,
}

/// What is listed, as the life knows it.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    id: MarketId,
    feed: FeedId,
    perpetual: bool,
    quantum: u64,
    venue: u32,
    highest_fee: u32,
    delisted: bool,
}

impl Market {
    pub(super) fn is(&self, market: MarketId) -> bool {
        self.id == market
    }

    pub(super) fn id(&self) -> MarketId {
        self.id
    }

    pub(super) fn feed(&self) -> FeedId {
        self.feed
    }

    pub(super) fn is_delisted(&self) -> bool {
        self.delisted
    }

    /// The tick nearest to an index price from below.
    pub(super) fn tick_at(&self, index: u128) -> Ticks {
        Ticks(u64::try_from(index / 1_000_000_000 / u128::from(self.quantum)).unwrap().max(1))
    }

    /// Whether it is a perpetual of that feed.
    pub(super) fn holds(&self, feed: FeedId) -> bool {
        self.perpetual && self.feed == feed
    }

    pub(super) fn is_perpetual(&self) -> bool {
        self.perpetual
    }
}

/// What the kinds of a life are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kinds {
    pub(crate) markets: Vec<Market>,
    /// Token, lot and weight-independent facts of each asset, by the order of admission.
    pub(crate) assets: Vec<(FeedId, Address, u64)>,
    /// Most atoms of each asset that the group takes in.
    caps: BTreeMap<Address, u128>,
    /// Every feed's name and dollars (18 decimals).
    pub(crate) feeds: Vec<(B256, u128)>,
    /// Asset tokens that each owner's wallet holds.
    pub(crate) wallets: BTreeMap<(Address, Address), u128>,
    /// Deposits of assets by inbox index.
    pub(crate) deposits: BTreeMap<u64, (Address, u128)>,
    /// What the open frame will pay out.
    pub(crate) leaving: Vec<(Address, Address, u128)>,
    /// Deposits that found no room: they wait in the contract.
    pub(crate) unclaimed: BTreeMap<Address, u128>,
    pub(crate) minted: BTreeMap<Address, u128>,
    /// The feed whose price moves next, and to how many thousandths.
    crashing: Option<(usize, u16)>,
}

impl Kinds {
    /// One of the prices moves in the next frame.
    pub(super) fn crash(&mut self, feed: u8, permille: u16) {
        let count = self.feeds.len();
        self.crashing = (count > 0).then(|| (usize::from(feed) % count, permille));
    }
}

/// The engine's side of the comparison, at a seal.
pub(crate) struct KindsSnapshot {
    health: Vec<(AccountId, Health)>,
    holdings: Vec<(AccountId, Vec<HoldingView>)>,
    feeds: Vec<FeedView>,
    principal: Vec<(AccountId, FeedId, u128)>,
    open_interest: Vec<(MarketId, u64)>,
}

impl Life {
    pub(crate) fn kind_step(&mut self, step: &KindStep) {
        match step.clone() {
            KindStep::Admit(plan) => self.admit(&plan),
            KindStep::Spot { asset, terms } => self.list_spot(asset, &terms),
            KindStep::Perpetual { terms, perpetual } => self.list_perpetual(None, &terms, &perpetual),
            KindStep::Change { market, terms, perpetual } => {
                let market = self.pick_market(market).filter(|at| self.kinds.markets[*at].perpetual);
                if let Some(at) = market {
                    self.list_perpetual(Some(at), &terms, &perpetual);
                }
            }
            KindStep::Phase { market, phase } => self.market_phase(market, phase),
            KindStep::Deposit { account, asset, amount } => self.deposit_asset(account, asset, amount),
            KindStep::Withdraw { account, asset, part } => self.withdraw_asset(account, asset, part),
            KindStep::ForceWithdrawal { account, asset, part } => self.force_asset_withdrawal(account, asset, part),
            KindStep::Transfer { account, to, asset, part } => self.transfer(account, to, asset, part),
            KindStep::Trade(plan) => self.trade_kind(&plan),
        }
    }

    // ---------------------------------------------------------------- requests to the contract

    fn feed_config(&mut self, at: Option<FeedId>, plan: &FeedPlan) -> abi::FeedConfig {
        let number = at.map_or(self.kinds.feeds.len() + 1, |feed| usize::from(feed.0));
        let name = B256::with_last_byte(u8::try_from(number).unwrap());
        if at.is_none() {
            // A hundred dollars to begin with.
            self.kinds.feeds.push((name, 100_000_000_000_000_000_000));
        }
        abi::FeedConfig {
            source: self.evm.source,
            name,
            unit: U96::from(plan.unit),
            maxAge: plan.max_age,
            maxGap: plan.max_gap,
            maxMove: plan.max_move,
        }
    }

    fn admit(&mut self, plan: &AssetPlan) {
        let deployer = self.deployer.address();
        let known = self.kinds.assets.get(usize::from(plan.pick)).copied();
        if known.is_none() && (self.kinds.assets.len() >= self.evm.assets.len() || self.kinds.feeds.len() >= 8) {
            return;
        }
        let token = known.map_or_else(|| self.evm.assets[self.kinds.assets.len()], |(_, token, _)| token);
        let lot = known.map_or(plan.lot, |(_, _, lot)| lot);
        let [a, b, discount] = plan.weights;
        let discount = discount % 200_001;
        let maintenance = a.max(b).min(1_000_000 - discount);
        let feed = self.feed_config(known.map(|(feed, _, _)| feed), &plan.feed);
        let config = abi::AssetConfig {
            token,
            lot,
            initialWeight: U24::from(a.min(b).min(maintenance)),
            maintenanceWeight: U24::from(maintenance),
            conversionDiscount: U24::from(discount),
            cap: if plan.cap == 0 { u128::MAX } else { u128::from(plan.cap) * u128::from(lot) },
            feed,
        };
        self.kinds.caps.insert(token, config.cap);
        let item = self.queue(deployer, &IGateway::setAssetCall { config });
        let InboxPayload::AssetSet { feed, .. } = item.payload else { panic!("{item:?}") };
        if known.is_none() {
            self.kinds.assets.push((feed, token, lot));
        }
    }

    fn terms_of(&self, plan: &TermsPlan) -> (abi::TradingTerms, u32) {
        let taker = i32::try_from(plan.taker_fee).unwrap();
        let maker = if plan.maker_fee < 0 { taker * plan.maker_fee / 100 } else { plan.maker_fee };
        let terms = abi::TradingTerms {
            venue: self.pick_venue(plan.venue),
            quantum: plan.quantum,
            takerFee: U24::from(plan.taker_fee),
            makerFee: I24::try_from(maker).unwrap(),
            curve: false,
            restricted: plan.restricted,
            isolatedOnly: plan.isolated_only,
            positionCap: plan.caps[0],
            openInterestCap: plan.caps[1],
        };
        (terms, plan.taker_fee.max(maker.max(0).unsigned_abs()))
    }

    fn list_spot(&mut self, asset: u8, plan: &TermsPlan) {
        if self.kinds.assets.is_empty() || self.kinds.markets.len() >= 8 {
            return;
        }
        let (feed, _, _) = self.kinds.assets[usize::from(asset) % self.kinds.assets.len()];
        let (terms, highest_fee) = self.terms_of(plan);
        let venue = terms.venue;
        let title = format!("Spot {}", "x".repeat(usize::from(asset % 70)));
        let config = abi::SpotConfig { terms, asset: feed.0, title };
        let item = self.queue(self.deployer.address(), &IGateway::listSpotCall { config });
        let InboxPayload::SpotListed { market, .. } = item.payload else { panic!("{item:?}") };
        self.listings += 1;
        self.note_isolated_only(market, plan);
        assert_eq!(market, MarketId::new(EventId(self.listings), 0));
        let quantum = plan.quantum;
        self.kinds.markets.push(Market {
            id: market,
            feed,
            perpetual: false,
            quantum,
            venue,
            highest_fee,
            delisted: false,
        });
    }

    pub(super) fn list_perpetual(&mut self, at: Option<usize>, plan: &TermsPlan, perpetual: &PerpetualPlan) {
        if at.is_none() && (self.kinds.markets.len() >= 8 || self.kinds.feeds.len() >= 8) {
            return;
        }
        let mut plan = plan.clone();
        if let Some(at) = at {
            plan.quantum = self.kinds.markets[at].quantum;
        }
        let (mut terms, highest_fee) = self.terms_of(&plan);
        if let Some(at) = at {
            // More venues may have opened since.
            terms.venue = self.kinds.markets[at].venue;
        }
        let venue = terms.venue;
        let mut initial = perpetual.initial.map(|thousandths| (thousandths * 1_000).clamp(10_000, 1_000_000));
        initial.sort_unstable();
        let maintenance = initial.map(|fraction| (fraction * perpetual.maintenance / 100).clamp(5_000, fraction - 1));
        let mut bounds = perpetual.bounds;
        bounds.sort_unstable();
        let feed = self.feed_config(at.map(|at| self.kinds.markets[at].feed), &perpetual.feed);
        let config = abi::PerpetualConfig {
            terms,
            feed,
            initialFractions: initial.map(U24::from),
            maintenanceFractions: maintenance.map(U24::from),
            tierBounds: bounds,
            penalty: U24::from(maintenance[0].min(50_000) / 2),
            fundingCap: perpetual.funding_cap,
            lossCap: U96::from(perpetual.loss_cap),
            title: "Perpetuel".into(),
        };
        let deployer = self.deployer.address();
        if let Some(at) = at {
            self.queue(deployer, &IGateway::setPerpetualCall { market: self.kinds.markets[at].id.0, config });
            self.note_isolated_only(self.kinds.markets[at].id, &plan);
            self.kinds.markets[at].highest_fee = highest_fee;
            return;
        }
        let item = self.queue(deployer, &IGateway::listPerpetualCall { config });
        let InboxPayload::PerpetualSet { market, feed, .. } = item.payload else { panic!("{item:?}") };
        self.listings += 1;
        self.note_isolated_only(market, &plan);
        assert_eq!(market, MarketId::new(EventId(self.listings), 0));
        let quantum = plan.quantum;
        self.kinds.markets.push(Market {
            id: market,
            feed,
            perpetual: true,
            quantum,
            venue,
            highest_fee,
            delisted: false,
        });
    }

    fn note_isolated_only(&mut self, market: MarketId, plan: &TermsPlan) {
        if plan.isolated_only {
            self.isolated_only.insert(market.event());
        } else {
            self.isolated_only.remove(&market.event());
        }
    }

    fn market_phase(&mut self, market: u8, pick: u8) {
        let Some(at) = self.pick_market(market) else { return };
        if self.kinds.markets[at].delisted {
            return;
        }
        let phase = match pick {
            0..=19 => abi::Phase::Halted,
            20..=49 => abi::Phase::ReduceOnly,
            50..=69 => abi::Phase::Delisted,
            70..=129 => abi::Phase::Auction,
            130..=139 => abi::Phase::PostOnly,
            140..=149 => abi::Phase::Pending,
            _ => abi::Phase::Open,
        };
        self.kinds.markets[at].delisted = phase == abi::Phase::Delisted;
        let market = self.kinds.markets[at].id.0;
        if pick.is_multiple_of(8) {
            self.hours(market, pick);
        }
        self.queue(self.deployer.address(), &IGateway::setPhaseCall { market, phase });
    }

    fn deposit_asset(&mut self, account: u8, asset: u8, amount: u64) {
        let Some((_, token, lot)) = self.pick_asset(asset) else { return };
        let account = self.pick_account(account);
        let owner = self.key(self.owner_index(account)).address();
        // From dust to a few thousand lots.
        let amount = 1 + u128::from(amount) % (u128::from(lot) * 3_000);
        let held = self.evm.view(token, &IToken::balanceOfCall { owner: self.evm.group }).to::<u128>();
        let amount = amount.min(self.kinds.caps[&token].saturating_sub(held));
        if amount == 0 {
            return;
        }
        let gateway = self.evm.gateway;
        self.evm.must(owner, token, &IToken::mintCall { to: owner, amount: U256::from(amount) });
        self.evm.must(owner, token, &IToken::approveCall { spender: gateway, amount: U256::from(amount) });
        let call = IGateway::depositCall { account: account.0, owner, token, amount: U256::from(amount) };
        let item = self.queue(owner, &call);
        self.kinds.deposits.insert(item.index, (token, amount));
        *self.kinds.minted.entry(token).or_default() += amount;
        self.kinds.wallets.entry((owner, token)).or_default();
    }

    fn force_asset_withdrawal(&mut self, account: u8, asset: u8, part: u8) {
        let Some((feed, token, _)) = self.pick_asset(asset) else { return };
        let account = self.pick_anyone(account);
        let owner = self.key(self.owner_index(account)).address();
        let amount = share(self.balance(account, feed).max(1), part);
        self.request(owner, &IGateway::requestWithdrawalCall { account: account.0, token, amount });
    }

    // ---------------------------------------------------------------- signed messages

    fn withdraw_asset(&mut self, account: u8, asset: u8, part: u8) {
        let Some((feed, token, _)) = self.pick_asset(asset) else { return };
        let account = self.pick_anyone(account);
        let amount = share(self.balance(account, feed).max(1), part);
        let nonce = self.next_nonce(account);
        let withdraw = Withdraw { account, token, amount, nonce, expiry: TimeMs(0) };
        let key = self.key(self.owner_index(account)).clone();
        self.apply(Command::Withdraw(key.sign_typed(&self.domain, withdraw)));
    }

    fn transfer(&mut self, account: u8, to: u8, asset: u8, part: u8) {
        let account = self.pick_anyone(account);
        let owner = self.owner_index(account);
        let own: Vec<AccountId> =
            self.account_ids().into_iter().filter(|id| self.owner_index(*id) == owner).chain([account]).collect();
        // Sometimes to somebody else, which is refused, or to what is not there yet.
        let to = if to >= 240 { self.pick_anyone(to) } else { own[usize::from(to) % own.len()] };
        let (token, free) = match self.pick_asset(asset).filter(|_| asset >= 100) {
            Some((feed, token, _)) => (token, self.balance(account, feed)),
            None => (self.evm.token, self.engine.account(account).map_or(0, |view| view.available.0)),
        };
        let amount = share(free.max(1), part);
        let nonce = self.next_nonce(account);
        let transfer = Transfer { account, gateway: Address::ZERO, to, token, amount, nonce, expiry: TimeMs(0) };
        let key = self.key(owner).clone();
        self.apply(Command::Transfer(key.sign_typed(&self.domain, transfer)));
    }

    fn trade_kind(&mut self, plan: &TradePlan) {
        let Some(at) = self.pick_market(plan.market) else { return };
        let market = self.kinds.markets[at].clone();
        let account = self.pick_trader(plan.account, market.id);
        let index = self.engine.feeds().find(|view| view.feed == market.feed).map_or(0, |view| view.price);
        let index = if index == 0 { 1_000_000_000_000 } else { index };
        let ticks = index / 1_000_000_000 / u128::from(market.quantum);
        let price = ticks * (4_500 + u128::from(plan.price)) / 5_000;
        let value = (index / 1_000_000_000).max(1);
        let free = self.engine.account(account).map_or(0, |view| view.available.0).max(0).unsigned_abs();
        let mut size = plan.size;
        if (1..PARTS).contains(&size) {
            // A spot buy pays all of it, a perpetual a tenth or so.
            let most = free * if market.perpetual { 8 } else { 1 } / value;
            let mut lots = most * u128::from(size) / u128::from(PARTS);
            if !market.perpetual && !plan.buy {
                let (_, _, lot) = *self.kinds.assets.iter().find(|(feed, _, _)| *feed == market.feed).unwrap();
                let balance = self.balance(account, market.feed).max(0).unsigned_abs();
                lots = balance / u128::from(lot) * u128::from(size) / u128::from(PARTS);
            }
            size = u64::try_from(lots).unwrap_or(u64::MAX).max(1);
        }
        let mut order = Order {
            account,
            market: market.id,
            side: if plan.buy { Side::Buy } else { Side::Sell },
            kind: match plan.kind {
                0..=4 => OrderKind::GoodTillCancelled,
                5 => OrderKind::ImmediateOrCancel,
                6 => OrderKind::FillOrKill,
                _ => OrderKind::PostOnly,
            },
            reduce_only: plan.twist.is_multiple_of(5),
            size: Lots(size),
            price: Ticks(u64::try_from(price).unwrap().max(1)),
            nonce: self.next_nonce(account),
            expiry: TimeMs(0),
            max_fee: Ppm(market.highest_fee),
            builder: 0,
            builder_fee: Ppm(0),
        };
        match plan.twist {
            1..=20 => order.expiry = TimeMs(self.now.0 + u64::from(plan.twist) * 500),
            21..=60 if !self.builders.is_empty() => {
                order.builder = 1 + u32::from(plan.twist) % u32::try_from(self.builders.len()).unwrap();
                order.builder_fee = Ppm(u32::from(plan.twist) * 37);
                order.max_fee = Ppm(market.highest_fee + order.builder_fee.0);
            }
            61 => order.price = Ticks(0),
            62 => order.builder = 99,
            63..=90 => self.reduce(&mut order, &market),
            _ => {}
        }
        let key = self.key(self.owner_index(account)).clone();
        let signed = key.sign_typed(&self.domain, order);
        let resting = self.engine.open_orders(account);
        let picked = resting.get(usize::from(plan.twist) % resting.len().max(1)).map(|view| view.order);
        match (plan.twist, picked) {
            // Whatever it replaces may rest in another market, of another kind.
            (100..=170, Some(Order { nonce, .. })) => {
                self.apply(Command::Replace { nonce, order: signed, instructions: Instructions::default() });
            }
            (171..=190, Some(Order { nonce, size, .. })) => {
                let now = size.0 - self.less(account, nonce);
                let amend = Amend { account, nonce, size: Lots(now / 2) };
                self.apply(Command::Amend(key.sign_typed(&self.domain, amend)));
                self.apply(Command::place(signed));
            }
            _ => {
                let command = self.planned(&key, order, plan.plan);
                self.apply(command);
            }
        }
    }

    /// Makes it an order that closes what its account holds, or a part of it.
    fn reduce(&self, order: &mut Order, market: &Market) {
        let held = self.engine.holdings(order.account).into_iter().find(|view| view.feed == market.feed);
        let Some(held) = held.filter(|_| market.perpetual) else { return };
        order.side = if held.amount > 0 { Side::Sell } else { Side::Buy };
        order.size = Lots(u64::try_from(held.amount.unsigned_abs()).unwrap().div_ceil(1 + order.nonce.0 % 3));
    }

    // ---------------------------------------------------------------- prices

    /// Prices for a frame, picked by `seed`, for the feeds that the engine knows or is about to.
    pub(crate) fn next_prices(&mut self, mut seed: u64) -> Vec<PriceUpdate> {
        let mut updates = Vec::new();
        let crashing = self.kinds.crashing.take();
        for number in 1..=self.kinds.feeds.len() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let pick = seed >> 33;
            let dollars = &mut self.kinds.feeds[number - 1].1;
            let crash = crashing.filter(|(feed, _)| *feed == number - 1).map(|(_, permille)| u128::from(permille));
            let permille = match pick % 16 {
                _ if crash.is_some() => crash.unwrap(),
                0..=2 => continue,
                3..=5 => 1_000,
                6..=13 => 990 + u128::from(pick / 16 % 21),
                14 => 850 + u128::from(pick / 16 % 301),
                _ => 500 + u128::from(pick / 16 % 1_100),
            };
            *dollars = (*dollars * permille / 1_000).clamp(1_000_000_000_000_000_000, 10_000_000_000_000_000_000_000);
            let published_at = TimeMs(self.now.0 - pick / 64 % 400);
            let proof = vec![u8::try_from(number).unwrap(); usize::try_from(pick % 70).unwrap()];
            let feed = FeedId(u8::try_from(number).unwrap());
            updates.push(PriceUpdate { feed, answer: *dollars, published_at, proof });
        }
        updates
    }

    /// Tells the price source what the open frame was told.
    pub(crate) fn tell_source(&mut self, updates: &[PriceUpdate]) {
        for update in updates {
            let name = self.kinds.feeds[usize::from(update.feed.0) - 1].0;
            let call = IMockPriceSource::setCall {
                name,
                time: self.engine.frame_time().0,
                price: U256::from(update.answer),
                publishedAt: update.published_at.0,
            };
            let source = self.evm.source;
            self.evm.must(self.deployer.address(), source, &call);
        }
    }

    // ---------------------------------------------------------------- comparing

    pub(crate) fn kinds_snapshot(&self) -> KindsSnapshot {
        let ids: Vec<AccountId> = self.engine.account_ids().collect();
        let tokens = || (0..=8).map(FeedId);
        KindsSnapshot {
            health: ids.iter().map(|id| (*id, self.engine.health(*id).unwrap())).collect(),
            holdings: ids.iter().map(|id| (*id, self.engine.holdings(*id))).collect(),
            feeds: self.engine.feeds().collect(),
            principal: ids
                .iter()
                .flat_map(|id| tokens().map(|token| (*id, token, self.engine.principal(*id, token))))
                .collect(),
            open_interest: self
                .kinds
                .markets
                .iter()
                .filter(|market| market.perpetual)
                .filter_map(|market| Some((market.id, self.engine.open_interest(market.id)?.0)))
                .collect(),
        }
    }

    /// The contract is where the engine was at the seal; `settled` if a batch was just settled.
    pub(super) fn compare_kinds(&mut self, engine: &Snapshot, settled: bool) {
        let group = self.evm.group;
        let kinds = &engine.kinds;
        for view in &kinds.feeds {
            let chain = self.evm.view(group, &IGroupViews::feedCall { id: view.feed.0 });
            let ours = (view.perpetual, view.price, view.time.0, view.breached, view.funding_index);
            let theirs = (chain.perpetual, chain.price, chain.time, chain.breached, chain.fundingIndex);
            assert_eq!(theirs, ours, "feed {}", view.feed);
        }
        for (id, held) in &kinds.holdings {
            let account = self.evm.view(group, &IGroupViews::accountCall { id: id.0 });
            let bits: U256 = held.iter().fold(U256::ZERO, |bits, view| bits | U256::ONE << usize::from(view.feed.0));
            assert_eq!(account.held, bits, "what account {id} holds");
            for view in held {
                let chain = self.evm.view(group, &IGroupViews::holdingCall { id: id.0, feed: view.feed.0 });
                assert_eq!(i128::try_from(chain.amount).unwrap(), view.amount, "account {id} at feed {}", view.feed);
                assert_eq!(i128::try_from(chain.paidUpTo).unwrap(), view.paid_up_to, "{id} at {}", view.feed);
                assert_eq!(chain.entryPrice, U256::from(view.entry.0), "entry of {id} at {}", view.feed);
            }
        }
        for &(id, token, principal) in &kinds.principal {
            let chain = self.evm.view(group, &IGroupViews::principalCall { id: id.0, feed: token.0 });
            assert_eq!(chain, principal, "principal of {id} at {token}");
        }
        for &(market, lots) in &kinds.open_interest {
            let chain = self.evm.view(group, &IGroupViews::marketCall { id: market.0 });
            assert_eq!(chain.openInterest, lots, "open interest of {market}");
        }
        if settled {
            self.compare_health(engine);
        }
        self.compare_custody(engine);
    }

    fn compare_health(&mut self, engine: &Snapshot) {
        for (id, ours) in &engine.kinds.health {
            let chain = self.evm.view(self.evm.group, &IGroupViews::healthCall { id: id.0 });
            // Fees of the frame are cash by now.
            let (_, _, cash, worst) = engine.accounts.iter().find(|(account, _, _, _)| account == id).unwrap();
            let fees = cash.0 + worst.0 - engine.money[id];
            let number = |number: alloy::primitives::I256| i128::try_from(number).unwrap();
            assert_eq!(number(chain.usd), ours.usd + fees, "usd of {id}");
            assert_eq!(number(chain.initialEquity), ours.initial_equity + fees, "initial equity of {id}");
            assert_eq!(number(chain.maintenanceEquity), ours.maintenance_equity + fees, "maintenance equity of {id}");
            assert_eq!(chain.initialRequirement, U256::from(ours.initial_requirement), "requirement of {id}");
            assert_eq!(chain.maintenanceRequirement, U256::from(ours.maintenance_requirement), "requirement of {id}");
            assert_eq!(chain.blocked, ours.blocked, "whether {id} is blocked");
        }
    }

    fn compare_custody(&mut self, engine: &Snapshot) {
        let group = self.evm.group;
        let head = engine.next_inbox;
        for (feed, token, _) in self.kinds.assets.clone() {
            let held = self.evm.view(token, &IToken::balanceOfCall { owner: group });
            let known = engine.kinds.feeds.iter().find(|view| view.feed == feed).map_or(0, |view| view.custody);
            let waiting: u128 = self
                .kinds
                .deposits
                .range(head..)
                .filter(|(_, (by, _))| *by == token)
                .map(|(_, (_, amount))| amount)
                .sum();
            let unclaimed = self.kinds.unclaimed.get(&token).copied().unwrap_or(0);
            assert_eq!(held, U256::from(known + waiting + unclaimed), "custody of asset {feed}");
        }
        for (&(owner, token), &amount) in &self.kinds.wallets.clone() {
            let balance = self.evm.view(token, &IToken::balanceOfCall { owner });
            assert_eq!(balance, U256::from(amount), "wallet of {owner}");
        }
    }

    // ---------------------------------------------------------------- the end

    /// Every perpetual is delisted and paid, and assets leave.
    pub(crate) fn kinds_leave(&mut self) {
        for at in 0..self.kinds.markets.len() {
            if !std::mem::replace(&mut self.kinds.markets[at].delisted, true) {
                let market = self.kinds.markets[at].id.0;
                let call = IGateway::setPhaseCall { market, phase: abi::Phase::Delisted };
                self.queue(self.deployer.address(), &call);
            }
        }
        self.frame(1, u8::MAX, 0);
        while !self.pending.is_empty() || self.engine.pending_redemptions() > 0 {
            self.frame(1, u8::MAX, 0);
        }
        for id in self.account_ids() {
            for view in self.engine.holdings(id) {
                let (_, token, _) = *self.kinds.assets.iter().find(|(feed, _, _)| *feed == view.feed).unwrap();
                let nonce = self.next_nonce(id);
                let amount = view.amount.unsigned_abs();
                let withdraw = Withdraw { account: id, token, amount, nonce: Nonce(nonce.0), expiry: TimeMs(0) };
                let key = self.key(self.owner_index(id)).clone();
                self.apply(Command::Withdraw(key.sign_typed(&self.domain, withdraw)));
            }
        }
        self.frame(1, 0, 0);
    }

    pub(crate) fn note_asset_left(&mut self, account: AccountId, asset: FeedId, amount: u128) {
        let owner = self.key(self.owner_index(account)).address();
        let (_, token, _) = *self.kinds.assets.iter().find(|(feed, _, _)| *feed == asset).unwrap();
        self.kinds.leaving.push((owner, token, amount));
    }

    pub(crate) fn note_uncredited(&mut self, asset: FeedId, amount: u128) {
        let (_, token, _) = *self.kinds.assets.iter().find(|(feed, _, _)| *feed == asset).unwrap();
        self.kinds.leaving.push((Address::ZERO, token, amount));
    }

    /// What the settled frame paid out has arrived; deposits without room wait to be claimed.
    pub(crate) fn kinds_settled(&mut self) {
        for (owner, token, amount) in std::mem::take(&mut self.kinds.leaving) {
            if owner == Address::ZERO {
                *self.kinds.unclaimed.entry(token).or_default() += amount;
            } else {
                *self.kinds.wallets.entry((owner, token)).or_default() += amount;
            }
        }
    }

    fn balance(&self, account: AccountId, feed: FeedId) -> i128 {
        self.engine.holdings(account).into_iter().find(|view| view.feed == feed).map_or(0, |view| view.amount)
    }

    fn pick_asset(&self, pick: u8) -> Option<(FeedId, Address, u64)> {
        let count = self.kinds.assets.len();
        (count > 0).then(|| self.kinds.assets[usize::from(pick) % count])
    }

    fn pick_market(&self, pick: u8) -> Option<usize> {
        let trading: Vec<usize> =
            (0..self.kinds.markets.len()).filter(|at| pick >= 240 || !self.kinds.markets[*at].delisted).collect();
        (!trading.is_empty()).then(|| trading[usize::from(pick) % trading.len()])
    }

    pub(crate) fn nothing_is_priced(&self) -> bool {
        self.kinds.markets.iter().all(|market| !market.perpetual)
    }

    /// Money of an account at the seal, fees apart.
    pub(crate) fn money_now(&self) -> BTreeMap<AccountId, i128> {
        let money = |id| {
            let view = self.engine.account(id).unwrap();
            (view.cash + view.worst_payoff).0
        };
        self.engine.account_ids().map(|id| (id, money(id))).collect()
    }

    pub(crate) fn start_terms(&mut self) {
        let terms = abi::GroupTerms {
            sequencer: self.sequencers[0].address(),
            maxHoldings: 3,
            keeperShare: U24::from(1_000),
            grace: 1_000,
        };
        self.queue(self.deployer.address(), &IGateway::setTermsCall { terms });
    }
}
