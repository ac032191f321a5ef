// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IPriceSource} from "../../contracts/oracle/IPriceSource.sol";

/// @notice Says what the test told it to say of a feed at a time, and nothing of what it was not told.
contract MockPriceSource is IPriceSource {
    struct Answer {
        uint256 price;
        uint64 publishedAt;
        bool told;
    }

    mapping(bytes32 name => mapping(uint64 time => Answer)) private _answers;

    function set(bytes32 name, uint64 time, uint256 price, uint64 publishedAt) external {
        _answers[name][time] = Answer({price: price, publishedAt: publishedAt, told: true});
    }

    function priceAt(bytes32 name, uint64 time, bytes calldata) external view returns (uint256, uint64) {
        Answer memory answer = _answers[name][time];
        if (!answer.told) revert PriceNotProven(name, time, "unset");
        return (answer.price, answer.publishedAt);
    }
}
