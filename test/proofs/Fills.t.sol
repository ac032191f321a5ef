// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {Fills} from "../../contracts/group/Fills.sol";
import {Holdings} from "../../contracts/group/Holdings.sol";
import {GroupStorage, MarketTerms} from "../../contracts/group/State.sol";
import {Touched} from "../../contracts/group/Touched.sol";
import {
    AccountId,
    BuilderId,
    EventId,
    FeedId,
    Fill,
    Lots,
    MarketFills,
    MarketId,
    MarketKind,
    OrderTree,
    Phase,
    Side,
    TickLots,
    Ticks,
    VenueId
} from "../../contracts/group/Types.sol";

/// @notice Fills conserve cash and size: whatever a buyer's and a seller's line say, if `settleMarket` takes them then all cash
/// together is what it was, less what repaid the shared losses, and all positions together are nothing.
/// @dev The whole of step 6 runs, signatures and limits too. Bounds: two lines, sizes and fees of 32 bits, notionals of 40, the
/// terms of one market; the taker pays a fee, the maker is paid a rebate. Accounts begin with nothing, as what is proven is about
/// differences. A builder, the protocol and the insurance fund take part in one proof each, the venue's treasury in all; a
/// referrer's part is beyond the solver and is left to tests.
contract FillsProofs is Test, GroupStorage {
    uint64 private constant BUYER = 10;
    uint64 private constant SELLER = 11;
    uint64 private constant TREASURY = 20;
    uint64 private constant BUILDER = 21;
    uint64 private constant TIME = 1_000_000;
    MarketId private constant MARKET = MarketId.wrap(3 << 8);

    struct Line {
        uint32 filled;
        uint40 notional;
        uint32 fee;
        bytes32 r;
        bytes32 vs;
    }

    function settle(MarketFills calldata market, OrderTree[] calldata trees) external {
        Fills.settleMarket(_s, Fills.open(_s, trees, TIME, bytes32(uint256(1))), market, trees);
    }

    /// @notice A pair of fills in an outcome market conserves size and cash; fees go to the venue, the protocol and the builder.
    /// @dev Fails when `_shareFees` gives the venue all, or when a line's cash leaves out the builder's fee.
    function check_outcome_fills_create_nothing(Line[2] calldata lines, uint24 protocolShare, uint24 builderFee)
        public
    {
        _open(MarketKind.Outcome, [protocolShare, 0], 0);
        _settle(lines, builderFee);
        unchecked {
            assert(uint64(_s.positions.words[_key(BUYER)]) + uint64(_s.positions.words[_key(SELLER)]) == 0);
        }
        _requireNothingCreated(0);
    }

    /// @notice What fees pay towards shared losses is what the losses shrink by, and the rest is the insurance fund's.
    /// @dev Fails when `insure` pays the fund what repaid the shared losses.
    function check_fees_that_repay_losses_create_nothing(Line[2] calldata lines, uint24 insuranceShare, uint96 badDebt)
        public
    {
        _open(MarketKind.Outcome, [0, insuranceShare], badDebt);
        _settle(lines, 0);
        _requireNothingCreated(badDebt);
    }

    /// @notice All cash together stays as it was when perpetual lots change hands.
    /// @dev Fails when `settleMarket` does not ask for notionals that sum to zero.
    function check_perpetual_fills_create_no_cash(Line[2] calldata lines) public {
        _open(MarketKind.Perpetual, [uint24(0), 0], 0);
        _settle(lines, 0);
        _requireNothingCreated(0);
    }

    /// @notice What one side of a perpetual's fills gains in lots, the other loses.
    /// @dev Fails when `settleMarket` does not ask for sizes that sum to zero.
    function check_perpetual_fills_create_no_lots(Line[2] calldata lines) public {
        _open(MarketKind.Perpetual, [uint24(0), 0], 0);
        _settle(lines, 0);
        uint256 bought = _s.holdings[Holdings.key(AccountId.wrap(BUYER), FeedId.wrap(1))];
        uint256 sold = _s.holdings[Holdings.key(AccountId.wrap(SELLER), FeedId.wrap(1))];
        unchecked {
            assert(uint64(bought) + uint64(sold) == 0);
        }
    }

    function _open(MarketKind kind, uint24[2] memory shares, uint96 badDebt) private {
        MarketTerms memory terms;
        (terms.venue, terms.kind, terms.phase) = (VenueId.wrap(1), kind, Phase.Open);
        (terms.outcomes, terms.feed, terms.ticks, terms.quantum) =
        (kind == MarketKind.Outcome ? 2 : 1, FeedId.wrap(1), 1000, 10_000);
        (terms.takerFee, terms.makerFee) = (50_000, -10_000);
        _s.markets[MARKET].terms = terms;
        (_s.inbox.feeds, _s.feed[FeedId.wrap(1)].maxAge, _s.feed[FeedId.wrap(1)].time) = (1, 1, TIME);
        _s.feed[FeedId.wrap(1)].perpetual = true;
        _s.venues[VenueId.wrap(1)].treasury = AccountId.wrap(TREASURY);
        _s.venues[VenueId.wrap(1)].protocolShare = shares[0];
        _s.venues[VenueId.wrap(1)].insuranceShare = shares[1];
        _s.builders[BuilderId.wrap(1)] = AccountId.wrap(BUILDER);
        _s.accounts[AccountId.wrap(BUYER)].owner = address(1);
        _s.accounts[AccountId.wrap(SELLER)].owner = address(2);
        _s.badDebt = badDebt;
    }

    /// @dev The first line takes, with a builder; the second makes, for a rebate.
    function _settle(Line[2] calldata lines, uint24 builderFee) private {
        vm.assume(lines[0].fee != 0 && lines[1].fee != 0);
        Touched.begin(1);
        MarketFills memory market;
        market.market = MARKET;
        market.fills = new Fill[](2);
        for (uint256 i = 0; i < 2; ++i) {
            Fill memory fill = market.fills[i];
            fill.order.account = AccountId.wrap(i == 0 ? BUYER : SELLER);
            fill.order.market = MARKET;
            fill.order.side = i == 0 ? Side.Buy : Side.Sell;
            fill.order.size = Lots.wrap(lines[i].filled);
            fill.order.price = Ticks.wrap(i == 0 ? 999 : 1);
            fill.order.maxFee = 1_000_000;
            if (i == 0 && builderFee != 0) {
                (fill.order.builder, fill.order.builderFee) = (BuilderId.wrap(1), builderFee);
            }
            fill.filled = Lots.wrap(lines[i].filled);
            fill.notional = TickLots.wrap(lines[i].notional);
            fill.fee = i == 0 ? int128(uint128(lines[i].fee)) : -int128(uint128(lines[i].fee));
            (fill.signature.r, fill.signature.vs) = (lines[i].r, lines[i].vs);
        }
        this.settle(market, new OrderTree[](0));
    }

    /// @dev Compared modulo 2^128, the width of the words: amounts here are far below, so nothing hides in the modulus.
    function _requireNothingCreated(uint128 badDebt) private view {
        unchecked {
            assert(_cash() + badDebt == _s.badDebt);
        }
    }

    /// @dev Of everyone who takes part.
    function _cash() private view returns (uint128) {
        unchecked {
            return _cashOf(1) + _cashOf(2) + _cashOf(BUYER) + _cashOf(SELLER) + _cashOf(TREASURY) + _cashOf(BUILDER);
        }
    }

    function _key(uint256 id) private pure returns (uint256) {
        return id << 30 | uint256(EventId.unwrap(MARKET.eventOf())) << 6;
    }

    function _cashOf(uint64 id) private view returns (uint128) {
        return uint128(_s.accounts[AccountId.wrap(id)].cash);
    }
}
