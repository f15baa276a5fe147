// SPDX-License-Identifier: Apache-2.0
// The load of a fire drill: processes that write blocks to the drill's disk and read them back,
// past the page cache. Each block carries its number, the number of its writing and a checksum, so
// that a lost write, an old write that lands late and a block of another place are all found.
//
// They are processes of their own because a thread that waits for a frozen disk cannot be ended:
// the drill goes on, and can be killed, whatever becomes of them. They end with it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::ctl::drill {

inline constexpr std::size_t load_block = 4096;  // bytes

// Fills a block of load_block bytes; `writing` counts how often this block was written.
void stamp(std::span<std::byte> block, std::uint64_t number, std::uint64_t writing);
bool has_stamp(std::span<const std::byte> block, std::uint64_t number, std::uint64_t writing);

// What the load has seen so far.
struct LoadSeen {
  std::uint64_t writes = 0, reads = 0;  // that ended well
  std::uint64_t errors = 0;             // that failed
  std::uint64_t wrong_blocks = 0;       // that were read with another content than was written
  int first_error = 0;                  // errno
  Nanoseconds longest{};                // from the call of a read or a write to its end
};

class Load {
 public:
  // Starts it on a disk ("/dev/sdc") of this size.
  static Result<Load> start(const std::string& disk, Bytes size);
  Load(Load&&) = default;
  Load& operator=(Load&&) = delete;
  ~Load();  // kills what still runs, without waiting for it

  LoadSeen seen() const;
  // Counts every process whose read or write of before `mark()` has not ended yet.
  void mark();
  std::size_t behind() const;
  // Has each process read all that it has written, and waits for their ends. Returns false if some
  // have not ended after `patience`.
  bool finish(Nanoseconds patience);

 private:
  struct Worker;
  struct Shared;
  struct Unmap {
    void operator()(Shared* shared) const noexcept;
  };
  explicit Load(std::unique_ptr<Shared, Unmap> shared) : shared_{std::move(shared)} {}
  static void work(Shared& shared, std::size_t index, const char* disk, std::uint64_t blocks);

  std::unique_ptr<Shared, Unmap> shared_;
  std::vector<pid_t> running_;
  std::vector<std::uint64_t> marks_;
};

}  // namespace ballast::ctl::drill
