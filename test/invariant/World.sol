// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGroupViews} from "../../contracts/group/IGroupViews.sol";
import {SimulatedToken} from "../../contracts/group/SimulatedToken.sol";
import {
    AccountId,
    AssetConfig,
    Batch,
    BuilderId,
    EventConfig,
    EventId,
    FeedId,
    Lots,
    MarketId,
    PerpetualConfig,
    SpotConfig,
    TradingTerms,
    VenueConfig
} from "../../contracts/group/Types.sol";
import {GroupTest} from "../group/GroupTest.sol";
import {MoodyToken} from "../group/MoodyToken.sol";
import {TestToken} from "../group/TestToken.sol";
import {Textbook} from "./Textbook.sol";

/// @notice A group with everything in it: eight traders with dollars and two assets, two perpetuals, a spot market, events,
/// a market maker, a keeper, a builder, and an insurance fund with some money. And what is known of it, as raw facts for
/// the textbook.
abstract contract World is GroupTest {
    /// @notice What a feed says at some frame.
    struct Quote {
        uint256 price;
        int256 funding;
        bool stale;
    }

    /// @dev Feeds in the order in which they are made.
    FeedId internal constant BITCOIN = FeedId.wrap(1);
    FeedId internal constant ETHER = FeedId.wrap(2);
    FeedId internal constant OKB = FeedId.wrap(3);
    FeedId internal constant GOLD = FeedId.wrap(4);
    uint256 internal constant FEEDS = 4;
    /// @dev Milliseconds; and 2 % of the last price a second.
    uint64 internal constant MAX_AGE = 60_000;
    uint64 internal constant MAX_GAP = 3_600_000;
    uint32 internal constant MAX_MOVE = 20_000;
    uint32 internal constant TAKER_FEE = 1000;
    uint32 internal constant MAKER_REBATE = 200;
    uint64 internal constant ETHER_CAP = 2_000_000;
    uint64 internal constant GRACE_SECONDS = 10;

    MoodyToken internal moody;
    Trader[] internal traders;
    Trader internal maker;
    Trader internal keeper;
    Trader internal fund;
    Trader internal builderTrader;
    BuilderId internal builder;
    /// @dev By feed: a perpetual's market, or the spot market of an asset.
    mapping(FeedId => MarketId) internal marketOf;
    mapping(FeedId => TestToken) internal assetTokens;
    /// @dev Events with positions in them, open or resolved.
    EventId[] internal events;
    /// @dev By feed: what the world says, in dollars with 18 decimals; and whether the source is silent.
    mapping(FeedId => uint256) internal truth;
    mapping(FeedId => bool) internal silent;
    /// @dev Tokens sent to the group past its doors, by token.
    mapping(address => uint256) internal donated;
    AccountId[] internal isolatedAccounts;

    function setUp() public virtual override {
        super.setUp();
        (fund.owner, fund.key, fund.account) = (governor, uint256(keccak256("governor")), INSURANCE);
        listEverything();
        settleInbox();

        deposit(governor, INSURANCE, 30_000e6);
        maker = openAccount("maker", 20_000_000e6);
        keeper = openAccount("keeper", 5_000_000e6);
        builderTrader = openAccount("builder", 1);
        builder = registerBuilder(builderTrader);
        traders.push(maker);
        for (uint256 i = 1; i < 7; ++i) {
            traders.push(openAccount(string.concat("trader", vm.toString(i)), 100_000e6));
        }
        Trader memory first = traders[1];
        first.account = deposit(first.owner, NEW_ACCOUNT, 100_000e6);
        traders.push(first);
        for (uint256 i = 0; i < traders.length; ++i) {
            give(traders[i], OKB, 300 ether);
            give(traders[i], GOLD, 10e6);
        }
        setReferrer(traders[2], builder);
        VenueConfig memory shares = venueConfig();
        (shares.protocolShare, shares.insuranceShare, shares.referrerShare) = (100_000, 200_000, 100_000);
        setVenue(shares);
        tick();
    }

    function newToken() internal override returns (SimulatedToken) {
        moody = new MoodyToken();
        return moody;
    }

    function listEverything() private {
        (marketOf[BITCOIN],) = listPerpetual(worldPerpetual("BTC", 100_000e6));
        (marketOf[ETHER],) = listPerpetual(worldPerpetual("ETH", 1500e6));
        for (uint256 i = 0; i < 2; ++i) {
            bool isGold = i == 1;
            FeedId feed = isGold ? GOLD : OKB;
            assetTokens[feed] = new TestToken(isGold ? "GOLD" : "OKB", isGold ? 6 : 18);
            AssetConfig memory config =
                assetConfig(address(assetTokens[feed]), isGold ? bytes32("GOLD") : bytes32("OKB"));
            config.feed.maxMove = MAX_MOVE;
            if (isGold) config.lot = 1000;
            addAsset(config);
        }
        SpotConfig memory spot = spotConfig(OKB);
        spot.terms.makerFee = -int24(int32(MAKER_REBATE));
        marketOf[OKB] = listSpot(spot);
        (truth[BITCOIN], truth[ETHER]) = (50_000e18 + 123_456_789, 3000e18 + 987_654_321);
        (truth[OKB], truth[GOLD]) = (50e18 + 1_000_001, 2000e18 + 7);
        openWorldEvent(3);
        openWorldEvent(9);
    }

    function worldPerpetual(bytes32 name, uint96 lossCap) internal view returns (PerpetualConfig memory config) {
        config = perpetualConfig(name);
        config.feed.maxMove = MAX_MOVE;
        config.lossCap = lossCap;
        config.terms.makerFee = -int24(int32(MAKER_REBATE));
        if (name == "ETH") config.terms.positionCap = Lots.wrap(ETHER_CAP);
    }

    /// @dev The wide one charges on the curve; the narrow one has a cap, so its open interest is counted.
    function openWorldEvent(uint8 outcomes) internal {
        EventConfig memory config = eventConfig(outcomes);
        config.terms.curve = outcomes > 4;
        if (outcomes <= 4) config.terms.positionCap = Lots.wrap(type(uint48).max);
        events.push(openEvent(config));
    }

    // ----------------------------------------------------------------- time and frames

    /// @notice A second passes, and a frame with every price that is published.
    function tick() internal {
        pass(1);
        settleFrame(frame());
    }

    /// @notice So many seconds later the next frame.
    function tickAfter(uint256 secondsLong) internal {
        pass(secondsLong);
        settleFrame(frame());
    }

    /// @notice The next batch: the whole inbox, and the prices of all feeds that are not silent.
    function frame() internal returns (Batch memory batch) {
        batch = inboxBatch();
        for (uint8 i = 1; i <= FEEDS; ++i) {
            FeedId feed = FeedId.wrap(i);
            if (!silent[feed]) addPriceAt(batch, feed, truth[feed], batch.time);
        }
    }

    /// @notice Settles the frame; the group must take the prices that the textbook takes.
    function settleFrame(Batch memory batch) internal {
        Quote[] memory expected = quotesAt(batch.time);
        settle(batch);
        for (uint8 i = 1; i <= FEEDS; ++i) {
            IGroupViews.FeedView memory now_ = views.feed(FeedId.wrap(i));
            assertEq(now_.price, expected[i].price, "the textbook's price");
            bool stale = now_.breached || now_.time + MAX_AGE < batch.time;
            assertEq(stale, expected[i].stale, "the textbook's staleness");
        }
    }

    // ----------------------------------------------------------------- quotes

    /// @notice What feeds say as of the last frame.
    function quotes() internal view returns (Quote[] memory said) {
        said = new Quote[](FEEDS + 1);
        (,, uint64 time,) = views.lastBatch();
        for (uint8 i = 1; i <= FEEDS; ++i) {
            IGroupViews.FeedView memory feed = views.feed(FeedId.wrap(i));
            said[i] = Quote(feed.price, feed.fundingIndex, feed.breached || feed.time + MAX_AGE < time);
        }
    }

    /// @notice What they will say at a frame of that time, by the textbook.
    function quotesAt(uint64 time) internal view returns (Quote[] memory said) {
        said = quotes();
        for (uint8 i = 1; i <= FEEDS; ++i) {
            FeedId id = FeedId.wrap(i);
            IGroupViews.FeedView memory feed = views.feed(id);
            if (silent[id]) {
                said[i].stale = feed.breached || feed.time + MAX_AGE < time;
                continue;
            }
            uint256 told = indexOf(truth[id]);
            said[i].price = Textbook.accepted(feed.price, told, time - feed.time, MAX_MOVE);
            bool rare = feed.price != 0 && time - feed.time > MAX_GAP;
            said[i].stale = said[i].price != told || rare;
        }
    }

    /// @notice Atoms per lot of a thousandth, times 1e9, of dollars with 18 decimals.
    function indexOf(uint256 dollars) internal pure returns (uint256) {
        return dollars * DOLLAR_QUANTUM / 1e9;
    }

    /// @notice The feed's price in ticks of a dollar, at least one.
    function ticksOf(FeedId feed) internal view returns (uint64) {
        uint256 ticks = truth[feed] / 1e18;
        return uint64(ticks == 0 ? 1 : ticks);
    }

    // ----------------------------------------------------------------- facts

    /// @notice Everything that says what the account is worth, at such quotes: read from the group as raw facts, with the
    /// terms as this test configured them.
    function factsOf(AccountId id, Quote[] memory said) internal view returns (Textbook.Facts memory facts) {
        facts.cash = views.account(id).cash;
        facts.perpetuals = new Textbook.Perpetual[](2);
        facts.assets = new Textbook.Asset[](2);
        for (uint8 i = 0; i < 2; ++i) {
            facts.perpetuals[i] = perpetualFacts(id, FeedId.wrap(i + 1), said[i + 1]);
            FeedId feed = FeedId.wrap(i + 3);
            (int256 balance,,) = views.holding(id, feed);
            facts.assets[i] = Textbook.Asset({
                balance: balance,
                price: said[i + 3].price,
                lot: i == 0 ? 1e15 : 1000,
                initialWeight: 800_000,
                maintenanceWeight: 900_000,
                stale: said[i + 3].stale
            });
        }
        facts.events = new Textbook.Event[](events.length);
        for (uint256 i = 0; i < events.length; ++i) {
            int64[] memory held = views.positions(id, events[i]);
            facts.events[i].payout = int64(TICKS * QUANTUM);
            facts.events[i].positions = new int256[](held.length);
            for (uint256 k = 0; k < held.length; ++k) {
                facts.events[i].positions[k] = held[k];
            }
        }
    }

    function perpetualFacts(AccountId id, FeedId feed, Quote memory said)
        private
        view
        returns (Textbook.Perpetual memory held)
    {
        (held.size,, held.paidUpTo) = views.holding(id, feed);
        (held.price, held.fundingIndex, held.stale) = (said.price, said.funding, said.stale);
        held.initialFractions = [uint256(50_000), 100_000, 200_000, 400_000];
        held.maintenanceFractions = [uint256(30_000), 60_000, 120_000, 240_000];
        held.bounds = [uint256(1_000_000), 5_000_000, 20_000_000];
    }

    /// @notice The account's health as of the last frame, by the textbook.
    function healthOf(AccountId id) internal view returns (Textbook.Health memory) {
        return Textbook.health(factsOf(id, quotes()));
    }

    /// @notice Whether the account fails at the prices of a frame of this moment.
    function isFailing(AccountId id) internal view returns (bool) {
        return Textbook.health(factsOf(id, quotesAt(nowMs()))).maintenance < 0;
    }

    // ----------------------------------------------------------------- words

    /// @notice Every account that there is.
    function everyone() internal view returns (AccountId[] memory all) {
        uint64 count = gateway.accounts();
        all = new AccountId[](count + isolatedAccounts.length);
        for (uint64 i = 0; i < all.length; ++i) {
            all[i] = i < count ? AccountId.wrap(i + 1) : isolatedAccounts[i - count];
        }
    }

    /// @notice The owner of the account puts in atoms of an asset; the next frame has them.
    function give(Trader memory trader, FeedId asset, uint256 amount) internal {
        deposit(trader.owner, trader.account, address(assetTokens[asset]), amount);
    }

    /// @notice Another number from the same seed.
    function draw(uint256 seed, bytes32 what) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, what)));
    }

    function pick(uint256 seed, bytes32 what) internal view returns (Trader memory) {
        return traders[draw(seed, what) % traders.length];
    }

    /// @notice One of the traders that is not this one.
    function another(uint256 seed, Trader memory than) internal view returns (Trader memory other) {
        uint256 start = draw(seed, "another");
        for (uint256 i = 0; i < 2; ++i) {
            other = traders[addmod(start, i, traders.length)];
            if (!same(other.account, than.account)) return other;
        }
    }

    function same(AccountId a, AccountId b) internal pure returns (bool) {
        return AccountId.unwrap(a) == AccountId.unwrap(b);
    }

    function isPerpetual(FeedId feed) internal pure returns (bool) {
        return FeedId.unwrap(feed) <= FeedId.unwrap(ETHER);
    }
}
