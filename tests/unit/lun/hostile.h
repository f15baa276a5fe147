// SPDX-License-Identifier: Apache-2.0
// A small LUN under arbitrary commands, for the random test and the fuzzer. Whatever the commands
// are, the LUN must answer and stay inside its buffers. It must leave alone the blocks that a
// command does not name, and a command that it refuses must change nothing. Include this file
// before tests/cmocka.h.
#pragma once

#include <utility>
#include <vector>

#include "tests/unit/lun/rig.h"

namespace ballast::test {

class HostileRig {
 public:
  static constexpr std::uint64_t blocks = 64;
  static constexpr std::size_t block = 512;

  HostileRig() : rig_{small_setup()} {
    shadow_ = pattern(blocks * block);
    rig_.store_bytes(0, shadow_);
  }

  // Runs one command; returns what is wrong, or null.
  const char* run(const Bytes8& cdb, const Bytes8& data, std::size_t segment) {
    rig_.spy->ops.clear();
    const Answer answer = rig_.send(cdb, data, segment);
    if (!answer.ended) {
      return "a command did not end";
    }
    const bool check = answer.status == scsi::Status::check_condition;
    if (check != !answer.sense.empty()) {
      return "sense without CHECK CONDITION, or the other way round";
    }
    if (check && answer.transferred != 0) {
      return "a failed command moved data";
    }
    if (!unchanged_beyond(answer, data)) {
      return "data-in beyond what was transferred, or data-out, was written to";
    }
    // A copy is aborted after the segments that were good.
    const bool aborted = check && (answer.sense[0] < 0x72 ? answer.sense[2] : answer.sense[1]) ==
                                      static_cast<std::uint8_t>(scsi::SenseKey::copy_aborted);
    return judge_medium(cdb, data, check && !aborted);
  }

 private:
  struct Range {
    std::uint64_t lba;
    std::uint64_t count;
  };

  static lun::LunSetup small_setup() {
    lun::LunSetup setup = usual_setup();
    setup.capacity = BlockCount{blocks};
    setup.max_transfer_blocks = 32;
    setup.tolerated_transfer_blocks = 32;
    setup.config.write_same_max = Bytes{16 * block};
    return setup;
  }

  static bool unchanged_beyond(const Answer& answer, const Bytes8& data) {
    return std::equal(answer.data.begin() + static_cast<std::ptrdiff_t>(answer.transferred),
                      answer.data.end(),
                      data.begin() + static_cast<std::ptrdiff_t>(answer.transferred));
  }

  // The blocks that a command may change, read from its CDB independently of the disk.
  static std::vector<Range> addressed(const Bytes8& cdb, const Bytes8& data) {
    switch (cdb[0]) {
      case 0x0a:
        return {{be24(cdb, 1) & 0x1fffff, cdb[4] == 0 ? 256u : cdb[4]}};
      case 0x2a:
      case 0x2e:
      case 0x41:
        return {{be32(cdb, 2), be16(cdb, 7)}};
      case 0xaa:
      case 0xae:
        return {{be32(cdb, 2), be32(cdb, 6)}};
      case 0x8a:
      case 0x8e:
      case 0x93:
        return {{be64(cdb, 2), be32(cdb, 10)}};
      case 0x89:
        return {{be64(cdb, 2), cdb[13]}};
      case 0x42: {
        std::vector<Range> all;
        for (std::size_t at = 8; at + 16 <= data.size(); at += 16) {
          all.push_back({be64(data, at), be32(data, at + 8)});
        }
        return all;
      }
      case 0x83: {
        std::vector<Range> all;
        const std::size_t begin = data.size() < 16 ? data.size() : 16 + be16(data, 2);
        for (std::size_t at = begin; at + 28 <= data.size(); at += 28) {
          all.push_back({be64(data, at + 20), be16(data, at + 10)});
        }
        return all;
      }
      default:
        return {};
    }
  }

  const char* judge_medium(const Bytes8& cdb, const Bytes8& data, bool refused) {
    const Bytes8 now = rig_.stored(0, blocks * block);
    std::vector<bool> may_change(blocks);
    if (!refused) {
      for (const Range& range : addressed(cdb, data)) {
        for (std::uint64_t i = 0; i < range.count && range.lba < blocks - i; ++i) {
          may_change[range.lba + i] = true;
        }
      }
    }
    for (std::size_t i = 0; i < blocks; ++i) {
      const auto at = static_cast<std::ptrdiff_t>(i * block);
      if (!may_change[i] &&
          !std::equal(now.begin() + at, now.begin() + at + static_cast<std::ptrdiff_t>(block),
                      shadow_.begin() + at)) {
        return "a block changed that the command does not name";
      }
    }
    shadow_ = now;
    return nullptr;
  }

  LunRig rig_;
  Bytes8 shadow_;
};

}  // namespace ballast::test
