// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComplianceRule} from "../../contracts/compliance/IComplianceRule.sol";

/// @notice A venue's own contract that says whatever suits its maker.
contract MoodyRule is IComplianceRule {
    enum Mood {
        Honest,
        Reverts,
        RevertsWithABomb,
        Burns,
        Invalid,
        Silent,
        Short,
        TwoWords,
        Bomb,
        TooLarge,
        CallsBack,
        Miser
    }

    Mood public mood;
    /// @notice What an honest rule knows.
    mapping(address subject => uint64) public says;
    /// @notice Whom it calls back, and with what.
    address public target;
    bytes public data;
    /// @notice What a miser needs to say yes.
    uint256 public price;

    function setMood(Mood mood_) external {
        mood = mood_;
    }

    function say(address subject, uint64 until) external {
        says[subject] = until;
    }

    function callBack(address target_, bytes calldata data_) external {
        (mood, target, data) = (Mood.CallsBack, target_, data_);
    }

    function cost(uint256 price_) external {
        (mood, price) = (Mood.Miser, price_);
    }

    function passesUntil(address subject, bytes calldata) external view returns (uint64) {
        if (mood == Mood.Honest) return says[subject];
        if (mood == Mood.Reverts) revert("no");
        if (mood == Mood.RevertsWithABomb) _bomb(false);
        if (mood == Mood.Invalid) _invalid();
        if (mood == Mood.Silent) _return(0, 0);
        if (mood == Mood.Short) _return(type(uint64).max, 31);
        if (mood == Mood.TwoWords) _return(type(uint64).max, 64);
        if (mood == Mood.Bomb) _bomb(true);
        if (mood == Mood.TooLarge) _return(uint256(type(uint64).max) + 1, 32);
        if (mood == Mood.CallsBack) return _callBack();
        if (mood == Mood.Miser) return gasleft() >= price ? type(uint64).max : 0;
        while (true) {}
        return 0;
    }

    function _return(uint256 word, uint256 size) private pure {
        assembly {
            mstore(0, word)
            return(0, size)
        }
    }

    function _invalid() private pure {
        assembly {
            invalid()
        }
    }

    /// @dev As much as its gas pays for: hundreds of kilobytes, which whoever copied them would pay for again.
    function _bomb(bool answers) private pure {
        assembly {
            if answers { return(0, 400000) }
            revert(0, 400000)
        }
    }

    /// @dev Says yes if it could get anything done. A call that changes state fails without leave to change any.
    function _callBack() private view returns (uint64) {
        (bool done,) = target.staticcall(data);
        return done ? type(uint64).max : 0;
    }
}
