// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IAggregator} from "./IAggregator.sol";
import {IPriceSource} from "./IPriceSource.sol";
import {Question, Reason} from "./Question.sol";
import {Round, Rounds} from "./Rounds.sol";

/// @title Prices from rounds of Chainlink feeds that are already written
/// @notice The price at a time is the answer of the last round written by then. Exactly one round is that, for ever:
///
/// 1. The rounds of one aggregator have consecutive numbers, are written once, and `updatedAt` is the time of the
///    block that wrote them, so it never falls from one round to the next. Hence at most one round R has
///    `updatedAt(R) <= time < updatedAt(R + 1)`, and both sides are read from rounds that cannot change.
/// 2. If R + 1 does not exist yet, it will be written in this block or a later one, so `updatedAt(R + 1)` will be at
///    least this block's time. Where that is already later than `time`, R + 1 can only come to satisfy the same rule.
///    So the same proof holds before and after R + 1 appears, and nothing needs to know which round is the latest.
/// 3. All of that is about one aggregator. When a proxy moves to another (a new phase), rounds that the new one wrote
///    before become readable under the proxy, and no data on chain says when it moved; a rule across phases would
///    have to change its mind about the past. So each feed is bound to the phase that it had when this contract was
///    made. After a move the old aggregator falls silent, `publishedAt` shows it, and the market goes on with a new
///    deployment of this contract, named through its group's inbox like every change that a sealed frame could depend
///    on.
///
/// What Chainlink's owners keep is the power to close access to a feed: then there is no answer, never another one.
/// @dev No price can be proven for a time before this chain has passed it: who seals frames waits for a block later
/// than the frame's time, or takes the risk that a round is written for it which it has not seen.
contract ChainlinkSource is IPriceSource {
    using Rounds for IAggregator;

    /// @notice A feed must be a contract that has a round.
    error NotAnAggregator(address feed);
    /// @notice Answers with more than 18 decimals could not be normalised without rounding.
    error TooManyDecimals(address feed, uint8 decimals);
    /// @notice The uptime guard needs all of feed, grace and delivery time; without a feed both times must be zero.
    error UptimeGuardIncomplete(address uptimeFeed, uint32 grace, uint32 delivery);

    struct Feed {
        /// @notice What an answer is multiplied by to have 18 decimals; zero for an unknown feed.
        uint64 scale;
        /// @notice The proxy's phase whose rounds count.
        uint16 phase;
    }

    /// @notice The feeds, by the address of aggregator or proxy padded on the left. Written by the constructor only.
    mapping(bytes32 feed => Feed) public feeds;

    /// @notice Chainlink's L2 sequencer uptime feed, or the zero address on a chain without one.
    IAggregator public immutable uptimeFeed;
    /// @notice The uptime proxy's phase whose rounds count.
    uint16 public immutable uptimePhase;
    /// @notice How long the sequencer must have been up again when a price counts, in seconds from when "up" counts.
    uint32 public immutable grace;
    /// @notice How long after a change of status began it may be written here, in seconds of this chain's time.
    /// @dev The status is reported from L1 and dated by L1, so unlike prices its rounds are written with a
    /// `startedAt` in the past. A status counts from `startedAt + delivery` on: by then it is written, so whether it
    /// counts at a past time is settled. On the OP Stack 1800 suffices: a block is at most that much later than the
    /// L1 block that it takes messages from (`max_sequencer_drift` since Fjord).
    uint32 public immutable delivery;

    /// @param aggregators The feeds to serve: Chainlink's proxies, or aggregators that contracts may read.
    /// @param uptimeFeed_ The sequencer uptime feed's proxy, or zero.
    /// @param grace_ Seconds that the sequencer must have been up again.
    /// @param delivery_ Seconds that a status may take from L1 to this chain.
    constructor(address[] memory aggregators, address uptimeFeed_, uint32 grace_, uint32 delivery_) {
        bool guarded = uptimeFeed_ != address(0);
        if (guarded != (grace_ != 0) || guarded != (delivery_ != 0)) {
            revert UptimeGuardIncomplete(uptimeFeed_, grace_, delivery_);
        }
        for (uint256 i = 0; i < aggregators.length; ++i) {
            address aggregator = aggregators[i];
            uint16 phase = _currentPhase(aggregator);
            // Who deploys the source names its feeds: one that fails stops the deployment and nothing else.
            // slither-disable-next-line calls-loop
            uint8 decimals = IAggregator(aggregator).decimals();
            if (decimals > 18) revert TooManyDecimals(aggregator, decimals);
            // At most 1e18, which is below 2^64.
            feeds[feedOf(aggregator)] = Feed({scale: uint64(10 ** (18 - decimals)), phase: phase});
        }
        uptimeFeed = IAggregator(uptimeFeed_);
        uptimePhase = guarded ? _currentPhase(uptimeFeed_) : 0;
        (grace, delivery) = (grace_, delivery_);
    }

    /// @notice The price of a feed at a past time. Anyone may call.
    /// @dev `PriceNotProven` with `FEED`, `PROOF`, `ROUND`, `LATER`, `REPLACED`, `NOT_OVER`, `PRICE`, `GAS`, and from
    /// the uptime guard `UPTIME`, `NOT_OVER`, `DOWN`, `GRACE`: see `Reason`. `NOT_OVER` and `GAS` pass with time and
    /// gas; the others are final, save that a round which does not exist yet may come to exist. Ids wider than 80
    /// bits revert without a reason.
    /// @param feed The aggregator's address, padded on the left.
    /// @param time Unix milliseconds.
    /// @param proof `abi.encode(uint80 roundId, uint80 uptimeRoundId)`, ids as the proxies count them: the rounds in
    /// force. Without an uptime feed the second must be zero.
    /// @return price The answer with 18 decimals.
    /// @return publishedAt When the round was written, unix milliseconds.
    function priceAt(bytes32 feed, uint64 time, bytes calldata proof)
        external
        view
        returns (uint256 price, uint64 publishedAt)
    {
        Question memory question = Question(feed, time);
        Feed memory known = feeds[feed];
        question.need(known.scale != 0, Reason.FEED);
        question.need(proof.length == 64, Reason.PROOF);
        (uint80 roundId, uint80 uptimeRoundId) = abi.decode(proof, (uint80, uint80));

        Round memory round = _roundInForce(question, known.phase, roundId);
        if (address(uptimeFeed) == address(0)) question.need(uptimeRoundId == 0, Reason.PROOF);
        else _needUptime(question, uptimeRoundId);

        question.need(round.answer > 0, Reason.PRICE);
        bool fits;
        // Positive, so the cast keeps its value. In force, so `updatedAt * 1000 <= time`, which fits.
        (fits, price) = Math.tryMul(uint256(round.answer), known.scale);
        question.need(fits, Reason.PRICE);
        publishedAt = uint64(round.updatedAt) * 1000;
    }

    /// @notice The name that this source has for an aggregator.
    function feedOf(address aggregator) public pure returns (bytes32) {
        return bytes32(uint256(uint160(aggregator)));
    }

    /// @dev The contract's points 1 and 2. Whole seconds: `s * 1000 <= time` is `s <= time / 1000`, and so is its
    /// contrary.
    function _roundInForce(Question memory question, uint16 phase, uint80 id)
        private
        view
        returns (Round memory round)
    {
        IAggregator aggregator = IAggregator(address(uint160(uint256(question.feed))));
        question.need(Rounds.phase(id) == phase, Reason.ROUND);
        round = aggregator.read(question, id);
        question.need(round.exists, Reason.ROUND);

        uint256 second = question.time / 1000;
        question.need(round.updatedAt <= second, Reason.LATER);
        // An aggregator numbers its rounds with 32 bits, so the next one is in the same phase.
        Round memory next = aggregator.read(question, id + 1);
        if (next.exists) question.need(next.updatedAt > second, Reason.REPLACED);
        else _needOver(question);
    }

    /// @dev As for prices, with `startedAt + delivery` in place of `updatedAt`, which is rewritten whenever a status
    /// is reported again. `startedAt` is fixed and never falls, and a round that does not exist yet will have at
    /// least this block's time, less `delivery`: so where this block is later than `time`, it will not count at
    /// `time`.
    function _needUptime(Question memory question, uint80 id) private view {
        question.need(Rounds.phase(id) == uptimePhase, Reason.UPTIME);
        Round memory status = uptimeFeed.read(question, id);
        uint256 second = question.time / 1000;
        question.need(status.exists && status.startedAt + delivery <= second, Reason.UPTIME);

        Round memory next = uptimeFeed.read(question, id + 1);
        if (next.exists) question.need(next.startedAt + delivery > second, Reason.UPTIME);
        else _needOver(question);

        question.need(status.answer == 0, Reason.DOWN);
        question.need(status.startedAt + delivery + grace <= second, Reason.GRACE);
    }

    /// @dev A round that does not exist yet gets at least this block's time. A block producer who shifts the time
    /// shifts when this passes, not what the answer is.
    function _needOver(Question memory question) private view {
        // slither-disable-start timestamp
        // forge-lint: disable-next-line(block-timestamp)
        question.need(block.timestamp > question.time / 1000, Reason.NOT_OVER);
        // slither-disable-end timestamp
    }

    function _currentPhase(address aggregator) private view returns (uint16) {
        if (aggregator.code.length == 0) revert NotAnAggregator(aggregator);
        // Called when the source is deployed only.
        // slither-disable-next-line calls-loop
        (uint80 id,,, uint256 updatedAt,) = IAggregator(aggregator).latestRoundData();
        if (updatedAt == 0) revert NotAnAggregator(aggregator);
        return Rounds.phase(id);
    }
}
