//! Lives in which perpetuals and spot markets trade beside outcomes, and prices move.

use proptest::prelude::*;
use xos_types::*;

use super::life::{ACCOUNTS, VENUE};
use super::steps::*;

/// Perpetuals by feed, then assets.
pub(crate) const PERPETUALS: [u8; 2] = [1, 2];
pub(crate) const ASSETS: [u8; 2] = [3, 4];
/// Where these lives list them, behind the events that every life begins with.
const LISTED: [u32; 5] = [5, 6, 7, 8, 9];

/// Atoms per lot at which a feed begins.
pub(crate) fn first_price(feed: u8) -> i128 {
    [10_000_000, 9_000_000, 500_000, 70_000][usize::from(feed) - 1]
}

fn feed_config(feed: u8) -> FeedConfig {
    FeedConfig {
        source: Address::repeat_byte(9),
        name: B256::repeat_byte(feed),
        unit: 1_000_000_000_000,
        max_age: [20_000, 8_000, 30_000, 10_000][usize::from(feed) - 1],
        max_gap: 15_000,
        max_move: Ppm(if feed == PERPETUALS[1] { 250_000 } else { 80_000 }),
    }
}

/// Requirements in percent of the usual ones.
pub(crate) fn perpetual_config(feed: u8, percent: u32) -> PerpetualConfig {
    let is_first = feed == PERPETUALS[0];
    let free = TradingTerms::free(VENUE, if is_first { 100_000 } else { 70_000 });
    let capped = TradingTerms {
        taker_fee: Ppm(500),
        maker_fee: Rate(-200),
        position_cap: Lots(60),
        open_interest_cap: Lots(30),
        ..free
    };
    PerpetualConfig {
        terms: if is_first { capped } else { TradingTerms { taker_fee: Ppm(70), maker_fee: Rate(30), ..free } },
        feed: feed_config(feed),
        initial_fractions: [100_000, 110_000, 150_000, 300_000].map(|ppm| Ppm(ppm * percent / 100)),
        maintenance_fractions: [50_000, 60_000, 80_000, 200_000].map(|ppm| Ppm(ppm * percent / 100)),
        tier_bounds: [100, 200, 400],
        penalty: Ppm(20_000),
        funding_cap: if is_first { Ppm(40_000) } else { Ppm(2) },
        loss_cap: 20_000_000,
        title: "up and down".into(),
    }
}

pub(crate) fn token(asset: u8) -> Address {
    Address::repeat_byte(0x80 + asset)
}

/// Weights in percent of the usual ones.
pub(crate) fn asset_config(asset: u8, percent: u32) -> AssetConfig {
    let is_first = asset == ASSETS[0];
    let weights = if is_first { [800_000, 900_000] } else { [333_333, 333_333] };
    let [initial_weight, maintenance_weight] = weights.map(|ppm| Ppm(ppm * percent / 100));
    AssetConfig {
        token: token(asset),
        lot: if is_first { 10 } else { 1 },
        initial_weight,
        maintenance_weight,
        conversion_discount: Ppm(30_000),
        cap: u128::MAX,
        feed: feed_config(asset),
    }
}

fn spot_config(asset: u8, quantum: u64, taker_fee: u32, maker_fee: i32) -> SpotConfig {
    let free = TradingTerms::free(VENUE, quantum);
    let terms = TradingTerms { taker_fee: Ppm(taker_fee), maker_fee: Rate(maker_fee), ..free };
    SpotConfig { terms, asset: FeedId(asset), title: "a thing".into() }
}

/// Two perpetuals and two assets, of which the first trades in two markets.
pub(crate) fn listings() -> Vec<InboxPayload> {
    let market = |which: usize| MarketId::new(EventId(LISTED[which]), 0);
    let perpetual = |which: usize| InboxPayload::PerpetualSet {
        market: market(which),
        feed: FeedId(PERPETUALS[which]),
        config: perpetual_config(PERPETUALS[which], 100),
    };
    let asset = |asset: u8| InboxPayload::AssetSet { feed: FeedId(asset), config: asset_config(asset, 100) };
    let spot = |which: usize, config| InboxPayload::SpotListed { market: market(which), config };
    vec![
        perpetual(0),
        perpetual(1),
        asset(ASSETS[0]),
        asset(ASSETS[1]),
        spot(2, spot_config(ASSETS[0], 5_000, 1_000, 300)),
        spot(3, spot_config(ASSETS[0], 7_000, 0, 0)),
        spot(4, spot_config(ASSETS[1], 1_000, 250, -250)),
    ]
}

/// The market of a perpetual.
pub(crate) fn perpetual_market(feed: u8) -> MarketId {
    MarketId::new(EventId(LISTED[usize::from(feed) - 1]), 0)
}

fn placing() -> impl Strategy<Value = Placing> {
    let market = prop_oneof![
        8 => Just((LISTED[0], 0)),
        5 => Just((LISTED[1], 0)),
        5 => Just((LISTED[2], 0)),
        2 => Just((LISTED[3], 0)),
        3 => Just((LISTED[4], 0)),
        4 => (1u32..=4, 0u8..2),
    ];
    let size = prop_oneof![6 => 1u64..20, 6 => 20u64..90, 1 => 90u64..300];
    let above = prop_oneof![10 => -4i64..=4, 3 => -20i64..=20, 1 => -99i64..200];
    // The first builder is registered from the start.
    let builder = prop_oneof![6 => Just((0u32, 0u32)), 3 => (1u32..3, 0u32..9_000), 1 => (0u32..4, 99_000u32..101_000)];
    let modes = (
        prop::bool::weighted(0.08),
        builder,
        prop::bool::weighted(0.8),
        prop_oneof![8 => Just(None), 1 => (-2i64..4_000).prop_map(Some)],
    );
    (place(), market, size, above, modes).prop_map(
        |(placing, (event, outcome), size, above_index, (reduce_only, (builder, fee), is_tame, expires_in))| {
            let order = Order { size: Lots(size), reduce_only, ..placing.order };
            let placing = Placing { order, above_index, event, outcome, expires_in, ..placing };
            if !is_tame {
                return placing;
            }
            let account = AccountId(order.account.0 % ACCOUNTS + 1);
            let order = Order { account, builder, builder_fee: Ppm(fee), max_fee: Ppm(150_000), ..order };
            Placing { order, nonce: Choice::Next, stranger: false, ..placing }
        },
    )
}

/// Of most feeds, in their order; now and then not in order, or of what is none.
fn quotes() -> impl Strategy<Value = Vec<Quote>> {
    let moves = || prop_oneof![6 => -15i64..=15, 4 => -60i64..=60, 1 => -300i64..=300];
    let ago = || prop_oneof![30 => Just(0u64), 2 => 0u64..2_000, 1 => 0u64..30_000];
    let quote = move |feed| (moves(), ago()).prop_map(move |(moves, ago)| Quote { feed, moves, ago });
    let most = move |feed| prop::option::weighted(0.75, quote(feed));
    let all = (most(1), most(2), most(3), most(4), prop::option::weighted(0.03, most(1)));
    all.prop_map(|(one, two, three, four, odd)| {
        let odd = odd.flatten().into_iter().flat_map(|odd| [Quote { feed: 5, ..odd }, odd]);
        [one, two, three, four].into_iter().flatten().chain(odd).collect()
    })
}

fn kinds_item() -> impl Strategy<Value = Item> {
    let phase = prop_oneof![
        8 => Just(Phase::Open),
        3 => Just(Phase::Auction),
        1 => Just(Phase::PostOnly),
        2 => Just(Phase::ReduceOnly),
        1 => Just(Phase::Halted),
    ];
    let asset = || prop_oneof![Just(ASSETS[0]), Just(ASSETS[1])];
    let account = || 1u64..=ACCOUNTS;
    prop_oneof![
        6 => (account(), asset(), 1u128..900)
            .prop_map(|(account, asset, amount)| Item::DepositAsset { account, asset, amount }),
        4 => (account(), 1u128..30_000_000).prop_map(|(account, amount)| Item::Deposit { account, amount }),
        3 => (account(), 0u8..=4, prop_oneof![0u128..50_000_000, Just(u128::MAX)])
            .prop_map(|(account, asset, amount)| Item::Force { account, asset, amount }),
        2 => (0usize..5, phase).prop_map(|(which, phase)| Item::Phase { event: LISTED[which], phase }),
        1 => (0usize..5, hours()).prop_map(|(which, hours)| Item::Hours { event: LISTED[which], hours }),
        1 => (asset(), 50u32..=110).prop_map(|(asset, percent)| Item::Weigh { asset, percent }),
        1 => (0usize..2, 60u32..=160)
            .prop_map(|(which, percent)| Item::Tighten { perpetual: PERPETUALS[which], percent }),
        1 => (prop_oneof![1u8..6, Just(16)], prop_oneof![Just(1_000u32), Just(5_000), Just(20_000)])
            .prop_map(|(max_holdings, grace)| Item::Terms { max_holdings, grace }),
        2 => (account(), 0usize..2)
            .prop_map(|(account, which)| Item::ForceClose { account, perpetual: PERPETUALS[which] }),
        2 => liquidation().prop_map(Item::ForceLiquidation),
        5 => item(),
    ]
}

/// Now and then a perpetual or spot market is delisted for good.
fn delisting() -> impl Strategy<Value = Vec<Item>> {
    let item = (0usize..5).prop_map(|which| Item::Phase { event: LISTED[which], phase: Phase::Delisted });
    prop::collection::vec(item, 1)
}

fn liquidation() -> impl Strategy<Value = Rescuing> {
    let asset = prop_oneof![4 => Just(ASSETS[0]), 4 => Just(ASSETS[1]), 1 => 0u8..7];
    let market = prop_oneof![4 => Just(LISTED[0]), 4 => Just(LISTED[1]), 1 => 0u32..8];
    let permille = prop_oneof![4 => Just(1_000u64), 3 => 0u64..1_000, 2 => 1_000u64..3_000];
    let (any_account, pick) = (1u64..=ACCOUNTS + 1, any::<usize>());
    (any_account, pick, prop::bool::weighted(0.85), asset, market, permille, any::<u8>(), choice()).prop_map(
        |(keeper, pick, needy, asset, market, permille, oddity, nonce)| Rescuing {
            keeper,
            pick,
            needy,
            asset,
            market,
            permille,
            oddity,
            nonce,
        },
    )
}

pub(crate) fn kinds_step() -> impl Strategy<Value = Step> {
    let account = || 1u64..=ACCOUNTS;
    let asset = || prop_oneof![2 => Just(0u8), 2 => Just(ASSETS[0]), 1 => Just(ASSETS[1]), 1 => 0u8..7];
    let share = || 0u32..1_100_000;
    let frame = |later, items, quotes| Step::Frame { later, items, quotes };
    prop_oneof![
        500 => placing().prop_map(Step::Place),
        40 => tree(placing()),
        60 => (placing(), planning()).prop_map(|(placing, planning)| Step::Plan { placing, planning }),
        20 => (any::<usize>(), placing(), planning()).prop_map(replan),
        60 => (any::<usize>(), placing(), prop::bool::weighted(0.8))
            .prop_map(|(pick, placing, in_its_market)| Step::Replace { pick, placing, in_its_market }),
        30 => (account(), asset(), share(), choice(), expires(), any::<u8>()).prop_map(
            |(account, asset, share, nonce, expires_in, oddity)| {
                Step::Withdraw { account, asset, share, nonce, expires_in, oddity }
            }
        ),
        25 => (account(), account(), asset(), share(), choice(), any::<u8>()).prop_map(
            |(account, to, asset, share, nonce, oddity)| Step::Transfer { account, to, asset, share, nonce, oddity }
        ),
        120 => (600u64..3_000, quotes()).prop_map(move |(later, quotes)| frame(later, vec![], quotes)),
        60 => (0u64..12, prop::collection::vec(kinds_item(), 0..3))
            .prop_map(move |(later, items)| frame(later, items, vec![])),
        15 => (0u64..900, prop::collection::vec(kinds_item(), 0..3), quotes())
            .prop_map(move |(later, items, quotes)| frame(later, items, quotes)),
        8 => (4_000u64..40_000, quotes()).prop_map(move |(later, quotes)| frame(later, vec![], quotes)),
        3 => delisting().prop_map(move |items| frame(5, items, vec![])),
        30 => liquidation().prop_map(Step::Liquidate),
        15 => liquidation().prop_map(Step::Convert),
        80 => step(),
    ]
}

/// As [`kinds_step`], of people who take all the risk that they may, while prices move fast: accounts fail.
pub(crate) fn stormy_step() -> impl Strategy<Value = Step> {
    let account = || 1u64..=ACCOUNTS;
    let bold = || {
        let which = prop_oneof![1 => Just(LISTED[0]), 3 => Just(LISTED[1])];
        (placing(), account(), which, 5u64..55, -1i64..=1).prop_map(|(placing, account, event, size, above_index)| {
            let (account, size, kind) = (AccountId(account), Lots(size), OrderKind::GoodTillCancelled);
            let order = Order { account, size, kind, reduce_only: false, max_fee: Ppm(100_000), ..placing.order };
            let order = if order.builder > 1 { Order { builder: 0, builder_fee: Ppm(0), ..order } } else { order };
            Placing { order, above_index, event, outcome: 0, nonce: Choice::Next, stranger: false, ..placing }
        })
    };
    let storm = || {
        let moves = prop_oneof![6 => -60i64..=60, 3 => -150i64..=150, 1 => -400i64..=400];
        (moves, -60i64..=60, any::<bool>()).prop_map(|(moves, other, both)| {
            let quote = |feed, moves| Quote { feed, moves, ago: 0 };
            let assets = ASSETS.map(|asset| quote(asset, other / 4));
            let first = quote(1, if both { moves } else { other });
            [first, quote(2, moves)].into_iter().chain(assets).collect::<Vec<_>>()
        })
    };
    let frame = |later, items, quotes| Step::Frame { later, items, quotes };
    let asset = prop_oneof![3 => Just(0u8), 1 => Just(ASSETS[0]), 1 => Just(ASSETS[1])];
    prop_oneof![
        60 => bold().prop_map(Step::Place),
        6 => tree(bold()),
        5 => (bold(), planning()).prop_map(|(placing, planning)| Step::Plan { placing, planning }),
        35 => (1_000u64..3_000, storm()).prop_map(move |(later, quotes)| frame(later, vec![], quotes)),
        8 => (1_000u64..2_000, prop::collection::vec(kinds_item(), 0..3), storm())
            .prop_map(move |(later, items, quotes)| frame(later, items, quotes)),
        6 => (account(), asset, 500_000u32..1_000_000).prop_map(|(account, asset, share)| {
            Step::Withdraw { account, asset, share, nonce: Choice::Next, expires_in: None, oddity: 8 }
        }),
        12 => liquidation().prop_map(Step::Liquidate),
        5 => liquidation().prop_map(Step::Convert),
        20 => kinds_step(),
    ]
}
