// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SimulatedToken} from "../../contracts/group/SimulatedToken.sol";

/// @notice A settlement token with every bad habit that a token can have.
contract MoodyToken is SimulatedToken {
    enum Mood {
        Good,
        ReturnsNothing,
        ReturnsFalse,
        ReturnsTwo,
        ReturnsOneByte,
        ReturnsTrueAndThenAZeroByte,
        Reverts,
        RevertsAtLength,
        BurnsAllGas,
        TakesAFee,
        CallsBack
    }

    Mood public mood;
    uint256 public transfers;
    address public target;
    bytes public callback;
    bool public callbackSucceeded;
    bytes public callbackFailure;

    function setMood(Mood next) external {
        mood = next;
    }

    function setCallback(address target_, bytes calldata callback_) external {
        (mood, target, callback) = (Mood.CallsBack, target_, callback_);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (mood == Mood.ReturnsFalse) return false;
        if (mood == Mood.ReturnsTwo) answer(32, 2);
        if (mood == Mood.ReturnsOneByte) answer(1, 1 << 248);
        if (mood == Mood.ReturnsTrueAndThenAZeroByte && ++transfers > 1) answer(1, 0);
        if (mood == Mood.Reverts) revert("not today");
        if (mood == Mood.RevertsAtLength) revert(string(new bytes(10_000)));
        if (mood == Mood.BurnsAllGas) burn();
        if (mood == Mood.CallsBack) (callbackSucceeded, callbackFailure) = target.call(callback);
        super.transfer(to, mood == Mood.TakesAFee ? amount - amount / 10 : amount);
        if (mood == Mood.ReturnsNothing) answer(0, 0);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        if (mood == Mood.ReturnsFalse) return false;
        if (mood == Mood.Reverts) revert("not today");
        if (mood == Mood.CallsBack) (callbackSucceeded, callbackFailure) = target.call(callback);
        super.transferFrom(from, to, mood == Mood.TakesAFee ? amount - amount / 10 : amount);
        if (mood == Mood.ReturnsNothing) answer(0, 0);
        return true;
    }

    function answer(uint256 length, uint256 value) private pure {
        assembly ("memory-safe") {
            mstore(0, value)
            return(0, length)
        }
    }

    function burn() private pure {
        assembly {
            invalid()
        }
    }
}
