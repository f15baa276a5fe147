// SPDX-License-Identifier: Apache-2.0
// Knows which contents each block may have, and what must be safe from a power cut.
//
// CONTENTS. Each command becomes accesses of single blocks, by what it was answered:
//
//   answered GOOD     READ, VERIFY: the blocks were found so. WRITE, WRITE SAME: they were put so,
//                     once. UNMAP: zeros, once for each descriptor that covers the block, where the
//                     store says that discarded blocks read as zeros; elsewhere perhaps.
//                     COMPARE AND WRITE: found and put in one.
//   MISCOMPARE        blocks before the one that the sense names were found as expected, and that
//                     one otherwise. Nothing was put. (WRITE AND VERIFY: was done, perhaps.)
//   other senses      ILLEGAL REQUEST, UNIT ATTENTION, DATA PROTECT: nothing was done. MEDIUM ERROR
//                     and the rest: changes perhaps took effect, once, block by block.
//   TASK SET FULL     nothing was done. (UNMAP and WRITE AND VERIFY go to the store several times
//   and
//                     may find no resources after the first: they were done in part, perhaps.)
//   BUSY              changes perhaps took effect, once. COMPARE AND WRITE was not done, but where
//                     the LUN was being closed.
//
// and register.h judges the accesses of each block. A retry is a command of its own, with the same
// data. At the end of a run the whole LUN is read once more by a command, so lost writes show.
//
// SAFETY. When SYNCHRONIZE CACHE, or a MODE SELECT that turns the cache off, or READ with FUA for
// its blocks, is answered GOOD, all changes that had been answered GOOD before it arrived are safe;
// but not those that a failed flush lost, once a command that flushes was answered MEDIUM ERROR: an
// initiator that was told so once knows. When a change with FUA, or WRITE AND
// VERIFY, or any change that lived wholly under WCE=0, is answered GOOD, its own blocks are safe:
// its content, or one that came over it later. (A store without a volatile cache keeps all of this
// by itself.)
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "tests/sim/issued.h"
#include "tests/sim/register.h"
#include "tests/sim/sim_backend.h"
#include "tests/sim/verdict.h"

namespace ballast::sim {

class Oracle {
 public:
  Oracle(const SimBackend& store, Verdict& verdict)
      : store_{store}, verdict_{verdict}, accesses_(most_blocks) {}

  void arrived(Issued& command);
  // Its `found` is filled in, if it is a read that was answered GOOD.
  void answered(const Issued& command);
  // A new device server: the mode pages are as they were made.
  void reopened() {
    cache_off_since_.reset();
    cache_set_ = 0;
  }

  // Complains about every block whose history is wrong. Once, at the end.
  void judge();
  // Blocks whose history the search gave up on.
  std::size_t undecided() const { return undecided_; }

 private:
  void record(const Issued& command);
  void record_miscompare(const Issued& command);
  void add(const Issued& command, std::uint32_t block, Access access);
  void check_safety(const Issued& command);
  void excuse(const Issued& command);
  bool must_be_safe(const Issued& command) const;

  const SimBackend& store_;
  Verdict& verdict_;
  std::vector<std::vector<Access>> accesses_;              // by block
  std::array<std::uint32_t, most_blocks> acknowledged_{};  // the newest landing that is
  std::array<std::uint32_t, most_blocks> excused_{};  // landings lost, and an initiator was told
  std::optional<std::uint64_t> cache_off_since_;      // moment of the MODE SELECT
  std::uint64_t cache_set_ = 0;  // when the newest MODE SELECT that counts arrived
  std::size_t undecided_ = 0;
};

}  // namespace ballast::sim
