// SPDX-License-Identifier: Apache-2.0
// A small LUN under arbitrary commands, one after the other or several at once, for the random test
// and the fuzzer. Whatever the commands are, the LUN must answer and stay inside its buffers. It
// must leave alone the blocks that no command names, and another LUN's blocks; a command that it
// refuses must change nothing. Include this file before tests/cmocka.h.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "tests/unit/backend/lab.h"
#include "tests/unit/lun/rig.h"

namespace ballast::test {

class HostileRig {
 public:
  // What the LUN has; any of these together.
  enum Has : std::uint8_t {
    room = 0x01,          // a store that tells how much room it has, and a soft threshold
    groups = 0x02,        // target port groups, and a store that another gateway may own
    neighbour = 0x04,     // another LUN in its copy_group
    kept_modes = 0x08,    // a file for what MODE SELECT sets
    protection = 0x10,    // a store that cannot be written to
    large_blocks = 0x20,  // of 4096 bytes
    log = 0x40,           // a write log before the store
  };
  static constexpr std::string_view neighbour_serial = "7a31c0de-0000-4000-8000-00000000abcd";

  // What happens around a command.
  struct Around {
    bool aborts = false;       // before it, all others that are in the LUN are aborted
    bool passes_time = false;  // after it, more than the deadline
    // It ends before the next one is sent, as do all others. If not, the store hangs from now on,
    // until one waits.
    bool waits = true;
  };

  explicit HostileRig(unsigned has = 0)
      : has_{has},
        block_{(has & large_blocks) != 0 ? 4096u : 512u},
        blocks_{(has & large_blocks) != 0 ? 16u : 64u},
        rig_{small_setup("vol0"), false, &offers_},
        shared_{rig_.executor()},
        log_gate_{rig_.executor()} {
    open_store();
    if ((has_ & groups) != 0) {
      rig_.lun->set_groups(two_groups());
    }
    shadow_ = pattern(blocks_ * block_);
    rig_.store_bytes(0, shadow_);
    if ((has_ & neighbour) != 0) {
      neighbour_ = std::make_unique<LunRig>(small_setup("vol1"), true, &offers_);
      neighbour_->serial = neighbour_serial;
      (void)neighbour_->send(Bytes8(6));
      neighbour_->store_bytes(0, pattern(blocks_ * block_, 77));
    }
  }
  ~HostileRig() {
    if (!rig_.closed) {
      rig_.close();
    }
    thaw();
    run_until([this] { return rig_.lun->is_gone(); });
  }
  HostileRig(const HostileRig&) = delete;

  std::size_t block() const { return block_; }

  // Runs one command; returns what is wrong, or null.
  const char* run(const Bytes8& cdb, const Bytes8& data, std::size_t segment, Around around) {
    if (around.aborts) {
      (void)rig_.lun->abort([](const scsi::Command&) { return true; });
    }
    if (!around.waits) {
      alone_ = false;
      freeze();
    }
    in_lun_.push_back({cdb, data});
    rig_.start(cdb, data, segment);
    run_for(around.passes_time ? longer_than_deadline : Nanoseconds{});
    const char* wrong = judge_answers();
    if (around.waits && wrong == nullptr) {
      wrong = end_all();
    }
    return wrong;
  }
  // Closes the LUN, which must answer what is in it, also while the store hangs. Call nothing after
  // it.
  const char* close() {
    rig_.close();
    run_until([this] { return rig_.lun->has_departed(); });
    const char* const wrong = judge_answers();
    return wrong != nullptr || in_lun_.empty() ? wrong : "a LUN that closes did not answer all";
  }

 private:
  static constexpr Nanoseconds deadline = std::chrono::seconds{2};
  static constexpr Nanoseconds longer_than_deadline = deadline + std::chrono::seconds{1};
  static constexpr Nanoseconds longest_closing = std::chrono::seconds{20};

  struct Range {
    std::uint64_t lba;
    std::uint64_t count;
  };
  struct InLun {
    Bytes8 cdb;
    Bytes8 data;
  };

  lun::LunSetup small_setup(const char* name) const {
    lun::LunSetup setup = usual_setup();
    setup.name = name;
    setup.logical_block = Bytes{block_};
    setup.capacity = BlockCount{blocks_};
    setup.max_transfer_blocks = static_cast<std::uint32_t>(blocks_ / 2);
    setup.tolerated_transfer_blocks = setup.max_transfer_blocks;
    setup.config.write_same_max = Bytes{16 * block_};
    setup.config.deadline = deadline;
    setup.config.slow = std::chrono::milliseconds{500};
    setup.config.stall_after = std::chrono::milliseconds{500};
    setup.config.stall_window = 4;
    setup.config.busy_for = std::chrono::seconds{10};
    if ((has_ & room) != 0) {
      setup.config.soft_threshold = Bytes{1 << 20};
    }
    if ((has_ & neighbour) != 0) {
      setup.config.copy_group = "g";
    }
    if ((has_ & kept_modes) != 0) {
      static const Folder folder{"/dev/shm"};
      setup.modes_place = {.folder = folder.path(), .lun = name, .store = "spy:"};
    }
    return setup;
  }

  void open_store() {
    backend::Store store = rig_.make_store(small_setup("vol0"));
    SpyBackend& spy = *rig_.spy;
    if ((has_ & room) != 0) {
      spy.pretend().room = true;
      spy.has_room = backend::Room{.free = Bytes{1 << 19}, .used = Bytes{1 << 20}};
    }
    if ((has_ & protection) != 0) {
      spy.pretend().read_only = true;
    }
    if ((has_ & groups) != 0) {
      spy.shared_store = &shared_;
    }
    if ((has_ & log) != 0) {
      log_.covered_blocks = blocks_ / 2;
      spy.coverage = &log_;
      // The log takes changes, and has the blocks that it covers, while the store hangs.
      log_gate_.set();
      spy.gate_of = [this](const BackendOp& op) -> co::Event& {
        const bool covered = op.offset + op.length <= log_.covered_blocks * block_;
        return op.name != "read" || covered ? log_gate_ : rig_.spy->gate;
      };
    }
    rig_.lun->use(std::move(store));
  }

  // The store of both LUNs, and the taking over of a shared one.
  void freeze() {
    rig_.spy->gate.reset();
    shared_.gate.reset();
    if (neighbour_ != nullptr) {
      neighbour_->spy->gate.reset();
    }
  }
  void thaw() {
    rig_.spy_thaws();
    shared_.gate.set();
    if (neighbour_ != nullptr) {
      neighbour_->spy_thaws();
    }
  }

  void run_for(Nanoseconds time) {
    constexpr Nanoseconds step = std::chrono::milliseconds{100};
    run_ready();
    for (Nanoseconds passed{}; passed < time; passed += step) {
      pass(step);
    }
  }
  template <class Holds>
  void run_until(Holds holds) {
    constexpr Nanoseconds step = std::chrono::milliseconds{100};
    for (Nanoseconds passed{}; passed < longest_closing && !holds(); passed += step) {
      pass(step);
    }
  }
  void pass(Nanoseconds step) {
    rig_.sim.run_for(step);
    if (neighbour_ != nullptr) {
      neighbour_->sim.run_for(step);
    }
    run_ready();
  }
  // Runs both LUNs, which send each other messages.
  void run_ready() {
    rig_.sim.run_ready();
    for (int i = 0; i < 3 && neighbour_ != nullptr; ++i) {
      neighbour_->sim.run_ready();
      rig_.sim.run_ready();
    }
    tell_of_access();
  }
  // As a real store does when a SET TARGET PORT GROUPS has been done.
  void tell_of_access() {
    if (shared_.now != access_ && !rig_.closed) {
      access_ = shared_.now;
      shared_.becomes(access_);
      rig_.sim.run_ready();
    }
  }

  // Lets the store work until nothing is left of any command, and judges the blocks.
  const char* end_all() {
    thaw();
    constexpr Nanoseconds step = std::chrono::milliseconds{20};
    for (Nanoseconds passed{}; passed < longer_than_deadline; passed += step) {
      run_ready();
      if (const char* const wrong = judge_answers(); wrong != nullptr) {
        return wrong;
      }
      if (in_lun_.empty() && rig_.spy->running() == 0) {
        return judge_blocks();
      }
      if ((has_ & kept_modes) != 0) {  // a thread writes the file
        std::this_thread::sleep_for(std::chrono::microseconds{200});
      }
      pass(step);
    }
    return in_lun_.empty() ? "an operation at the store did not end" : "a command did not end";
  }

  // Looks at the commands that have ended.
  const char* judge_answers() {
    for (std::size_t i = 0; i < in_lun_.size();) {
      const Answer answer = rig_.look(i);
      if (!answer.ended) {
        ++i;
        continue;
      }
      const InLun ended = std::move(in_lun_[i]);
      in_lun_.erase(in_lun_.begin() + static_cast<std::ptrdiff_t>(i));
      if (const char* const wrong = judge(ended, answer); wrong != nullptr) {
        return wrong;
      }
    }
    return nullptr;
  }

  const char* judge(const InLun& sent, const Answer& answer) {
    const bool check = answer.status == scsi::Status::check_condition;
    if (check != !answer.sense.empty()) {
      return "sense without CHECK CONDITION, or the other way round";
    }
    if (check && answer.transferred != 0) {
      return "a failed command moved data";
    }
    if (!unchanged_beyond(answer, sent.data)) {
      return "data-in beyond what was transferred, or data-out, was written to";
    }
    if (!check || may_have_changed(sent.cdb, answer)) {
      for (const Range& range : addressed(sent.cdb, sent.data)) {
        changes_.push_back(range);
      }
    }
    return nullptr;
  }

  // Whether a command that failed may have changed blocks before.
  bool may_have_changed(const Bytes8& cdb, const Answer& answer) const {
    const std::uint8_t opcode = cdb.empty() ? 0 : cdb[0];
    const auto key = static_cast<scsi::SenseKey>(
        (answer.sense[0] < 0x72 ? answer.sense[2] : answer.sense[1]) & 0x0f);
    switch (key) {
      case scsi::SenseKey::copy_aborted:  // after the segments that were good
        return true;
      case scsi::SenseKey::hardware_error:  // cut off: nobody knows
        return !alone_;
      case scsi::SenseKey::miscompare:  // another command wrote between WRITE and VERIFY
        return !alone_ && (opcode == 0x2e || opcode == 0x8e || opcode == 0xae);
      default:
        return false;
    }
  }

  static bool unchanged_beyond(const Answer& answer, const Bytes8& data) {
    return std::equal(answer.data.begin() + static_cast<std::ptrdiff_t>(answer.transferred),
                      answer.data.end(),
                      data.begin() + static_cast<std::ptrdiff_t>(answer.transferred));
  }

  // The blocks that a command may change, read from its CDB independently of the disk.
  static std::vector<Range> addressed(const Bytes8& cdb, const Bytes8& data) {
    switch (cdb.empty() ? 0 : cdb[0]) {
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

  // Whether the store was asked to change anything since this was asked last.
  static bool was_changed(SpyBackend& spy) {
    const std::vector<BackendOp> ops = std::exchange(spy.ops, {});
    return std::ranges::any_of(
        ops, [](const BackendOp& op) { return op.name != "read" && op.name != "flush"; });
  }

  const char* judge_blocks() {
    const bool changed = was_changed(*rig_.spy);
    const std::vector<Range> changes = std::exchange(changes_, {});
    alone_ = true;
    if (neighbour_ != nullptr && was_changed(*neighbour_->spy)) {
      return "another LUN was written to";
    }
    return changed ? judge_changes(changes) : nullptr;
  }
  const char* judge_changes(const std::vector<Range>& changes) {
    if ((has_ & protection) != 0) {
      return "a store was written to that is protected";
    }
    std::vector<bool> may_change(blocks_);
    for (const Range& range : changes) {
      for (std::uint64_t i = 0; i < range.count && i < blocks_ && range.lba < blocks_ - i; ++i) {
        may_change[range.lba + i] = true;
      }
    }
    const Bytes8 now = rig_.stored(0, blocks_ * block_);
    for (std::size_t i = 0; i < blocks_; ++i) {
      const auto at = static_cast<std::ptrdiff_t>(i * block_);
      if (!may_change[i] &&
          !std::equal(now.begin() + at, now.begin() + at + static_cast<std::ptrdiff_t>(block_),
                      shadow_.begin() + at)) {
        return "a block changed that no command names";
      }
    }
    shadow_ = now;
    return nullptr;
  }

  const unsigned has_;
  const std::size_t block_;
  const std::uint64_t blocks_;
  lun::CopyOffers offers_;
  LunRig rig_;
  FakeShared shared_;
  backend::Access access_ = backend::Access::active;  // as the LUN was told last
  SpyLog log_;
  co::Event log_gate_;
  std::unique_ptr<LunRig> neighbour_;
  Bytes8 shadow_;
  std::vector<InLun> in_lun_;   // not answered; in the order in which they were sent
  std::vector<Range> changes_;  // that answered commands may have made since the last judgement
  bool alone_ = true;           // since then no command was in the LUN beside another
};

}  // namespace ballast::test
