// SPDX-License-Identifier: Apache-2.0
// Judges the history of one block: could a single register have behaved like that?
//
// THE RULE. Every access takes effect in one moment between the arrival of its command and the
// command's answer. A change that was not answered GOOD may have taken effect in that time, or not
// at all. A history is right if such moments exist and each read shows the content that was current
// at its own moment. (This is the linearizability of a register, Herlihy and Wing 1990.)
//
// Why this is exactly SCSI's rule. No order is defined between commands that are outstanding
// together (SIMPLE task attribute, SAM-5, 8.6.1), so each of them may come first. A command that
// arrives after another's answer comes after it. That holds for commands that were answered BUSY,
// TASK SET FULL or CHECK CONDITION as well. An orphan lands after its answer, although the rule
// puts its effect before the answer. That is no contradiction: a command that arrives after the
// answer and touches the block waits for the orphan, so it cannot see the difference. If a command
// does see it, that is a late landing: an older change has replaced data that was read or written
// since. So the rule says the same as "it may take effect later, once, or never, but never over
// data that was shown or acknowledged since".
//
// Blocks are judged one by one, because SCSI promises no atomicity for transfers of several blocks.
// COMPARE AND WRITE is one access: no other change comes between its comparison and its change.
// What a store loses, it loses in one moment, and nothing comes back by itself.
//
// Contents need not be unique (zeros; retries with the same data), so this is a search. It keeps
// the states that the register and the accesses under way may be in, and moves them along the
// answers. An access takes effect only when an answer needs it. No read sees most of the changes;
// changes that never matter are left out, so that the search is short. Pure function.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tests/sim/content.h"

namespace ballast::sim {

struct Access {
  enum class Kind : std::uint8_t {
    put,      // the block becomes `content`
    get,      // the block is `content`
    differs,  // the block is not `expected`
    swap,     // the block is `expected` and becomes `content`
    lose,     // the store loses `expected`: the block becomes `content` if it is that
  };
  Kind kind = Kind::put;
  bool certain = true;  // false: it may not have happened; reads are always certain
  Content content{};
  Content expected{};
  std::uint64_t began = 0;  // moments of its command's arrival and answer, on one scale
  std::uint64_t ended = 0;
  std::uint32_t command = 0;  // for messages
  const char* name = "";      // the same: "WRITE", "READ"
};

enum class Judgement : std::uint8_t {
  right,
  wrong,
  undecided,  // too many accesses were under way at once for the search
};

struct Finding {
  Judgement judgement = Judgement::right;
  std::size_t access = 0;  // if wrong: the access whose answer fits no state
};

// `accesses`: in any order. `initial`: the content before the first access.
Finding judge(std::span<const Access> accesses, Content initial);

// One line: "moments 12-40 command 7 WRITE puts data 3 block 1 (answered BUSY)".
std::string describe(const Access& access);

// A text about `wrong`: the access, and those under way with it or shortly before.
std::vector<std::string> neighbourhood(std::span<const Access> accesses, std::size_t wrong);

}  // namespace ballast::sim
