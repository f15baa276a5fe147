// SPDX-License-Identifier: Apache-2.0
// A store that does what backend.h allows, and nothing kinder.
//
// Bytes live in plain memory. Every operation takes as long as its lot says; on its way it lands
// block by block, in drawn moments between its start and its end, in any order relative to others:
// a write takes each block out of its caller's buffer at the moment when that block lands, and a
// read puts each block into it, as hardware does, so a buffer that is given away too early shows.
// It may get stuck, fail halfway, or be frozen by a rule until a thaw. Asked to cancel it obeys
// only if its lot allows it and nothing of it has landed, and takes its time for that.
//
// What a power cut would leave is kept account of: each landing on a block has a number, and
// durable() says which number is safe. With a volatile cache, only what flush() covers for certain
// is safe: operations that had ended well before it began. What a failed flush should have covered
// is lost, as a kernel loses it: no later flush makes it safe, although it ends well.
//
// One thread; times are the executor's. Wrap it in make_checked.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/backend/backend.h"
#include "lib/co/cancel.h"
#include "lib/co/gate.h"
#include "lib/co/sim_executor.h"
#include "tests/sim/content.h"
#include "tests/sim/verdict.h"

namespace ballast::sim {

inline constexpr std::uint32_t most_blocks = 96;  // that a store may ever have

enum class OpKind : std::uint8_t { read, write, zero, discard, flush };
constexpr bool changes(OpKind kind) {
  return kind == OpKind::write || kind == OpKind::zero || kind == OpKind::discard;
}

// What the lots are drawn from. Chances are per mille.
struct Temper {
  Nanoseconds shortest{};  // of each of the one to four waits of an operation
  Nanoseconds longest{};
  unsigned stuck = 0;  // one wait takes up to longest_stuck
  Nanoseconds longest_stuck{};
  unsigned medium_error = 0;  // after half of it has landed, perhaps
  unsigned no_resource = 0;   // nothing done
  unsigned cancellable = 1000;
  Nanoseconds longest_cancel{};  // how long obeying takes
};

// Operations that a freeze holds wherever they are: before, between or after their landings.
struct Freeze {
  bool reads = true;
  bool changes = true;
  bool flushes = true;
  std::uint32_t first = 0;  // blocks; a flush is held whatever they are
  std::uint32_t count = most_blocks;
  bool landed_only = false;  // holds the answer alone: what it holds has landed
};

class SimBackend final : public backend::Backend {
 public:
  struct Op {
    OpKind kind = OpKind::read;
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    bool fua = false;
    TimePoint started{};
    TimePoint ended{};
    std::uint32_t data = 0;  // of a write: which data its first block belongs to
    bool running = true;
    IoStatus status = IoStatus::ok;
    bool touches(std::uint32_t lba, std::uint32_t blocks) const {
      return kind != OpKind::flush && first < lba + blocks && lba < first + count;
    }
  };

  SimBackend(co::Executor& executor, std::uint64_t seed, std::uint32_t blocks,
             const backend::Capabilities& capabilities, Verdict& verdict);

  // --- for the test ---
  void set_temper(const Temper& temper) { temper_ = temper; }
  void freeze(const Freeze& rule);
  // Ends all freezes, and lets go what is stuck; each operation then goes on after a wait of its
  // own, so that they end in any order.
  void thaw();
  // Ends all freezes for operations that begin later; what is frozen now waits for release() or
  // thaw().
  void keep_frozen();
  // Lets one operation go that a freeze holds, the nth of all that ever began: all of it, now.
  void release(std::size_t op);

  // Somebody has it: from open() until close() has ended. One at a time.
  void open();
  bool in_use() const { return in_use_; }

  std::span<const Op> ops() const { return ops_; }  // all that ever began, in that order
  std::size_t running() const { return running_.size(); }
  std::vector<std::size_t> running_numbers() const;  // in ops(), in the order of their starts
  TimePoint oldest_start() const;  // of those that run; the largest time if none does
  // The same, but a flush that began in the moment when a write ended counts from that write's
  // start: it may be the second half of a write with FUA.
  TimePoint oldest_work() const;

  Content content(std::uint32_t block) const;
  std::uint32_t durable(std::uint32_t block) const { return durable_[block]; }
  // The newest landing on a block of an operation that ended well.
  std::uint32_t completed(std::uint32_t block) const { return completed_[block]; }
  // The newest landing that a failed flush lost.
  std::uint32_t lost(std::uint32_t block) const { return lost_[block]; }
  // Whether a flush, or a write with FUA, ever failed.
  bool has_failed_to_make_durable() const;
  // The first landing that brought this content; 0: none did.
  std::uint32_t first_landing(std::uint32_t block, Content content) const;

  // --- backend::Backend ---
  co::Executor& executor() override { return executor_; }
  const backend::Geometry& geometry() const override { return geometry_; }
  const backend::Capabilities& capabilities() const override { return capabilities_; }
  std::string description() const override { return "simulated"; }
  co::Task<IoStatus> read(Bytes offset, io::SgView to, co::CancelToken cancel) override;
  co::Task<IoStatus> write(Bytes offset, io::SgView from, backend::Fua fua,
                           co::CancelToken cancel) override;
  co::Task<IoStatus> zero(Bytes offset, Bytes length, backend::MayUnmap may_unmap,
                          co::CancelToken cancel) override;
  co::Task<IoStatus> discard(Bytes offset, Bytes length, co::CancelToken cancel) override;
  co::Task<IoStatus> flush(co::CancelToken cancel) override;
  co::Task<IoStatus> block_status(Bytes offset, Bytes length, std::size_t limit,
                                  std::vector<backend::Extent>* out) override;
  co::Task<IoStatus> resize(Bytes size) override;
  co::Task<void> close() override;

 private:
  using Numbers = std::array<std::uint32_t, most_blocks>;
  struct Landing {
    Content content;
    std::uint32_t number;
  };
  class Running;

  co::Task<IoStatus> run(Op op, io::SgView data, co::CancelToken cancel);
  co::Task<bool> pause(Running* running, co::CancelToken cancel);
  IoStatus finish(Running* running);
  void land(Running* running, std::size_t step);
  void land_block(Running* running, std::uint32_t index);
  bool frozen(const Running& running) const;
  Nanoseconds draw(Nanoseconds shortest, Nanoseconds longest);
  std::span<std::byte> memory_of(std::uint32_t block) {
    return std::span{memory_}.subspan(block * block_size, block_size);
  }

  co::Executor& executor_;
  co::Random random_;
  Verdict& verdict_;
  backend::Geometry geometry_;
  const backend::Capabilities capabilities_;
  Temper temper_;
  std::vector<Freeze> freezes_;
  std::vector<Op> ops_;
  std::vector<Running*> running_;  // in the order of their starts
  std::vector<std::byte> memory_;
  std::vector<std::vector<Landing>> landings_;  // by block
  Numbers durable_{};
  Numbers completed_{};
  Numbers lost_{};
  std::uint32_t last_landing_ = 0;
  bool in_use_ = false;
  co::Gate at_work_;  // operations and resizes; never closed: it is opened again and again
};

}  // namespace ballast::sim
