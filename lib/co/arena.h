// SPDX-License-Identifier: Apache-2.0
// The memory behind an executor: frames, wait records, names of tasks. It grows to its high-water
// mark, never shrinks, and is given back as a whole.
//
// A coroutine that gets no memory for its frame cannot report that: its caller may be in the middle
// of a command. So the arena takes a RESERVE when the LUN opens. It does not touch the reserve, so
// this costs no pages. When the heap has no more memory, work that is already under way gets small
// pieces of the reserve, and is_short() becomes true. Code that begins new work checks is_short()
// first, and refuses the work until renew() has got a whole reserve again. Frames go back to their
// pools and are used again, so the work under way needs no more than its own peak.
//
// Driving thread only.
#pragma once

#include <cstddef>
#include <span>

namespace ballast::co {

class Arena {
 public:
  static constexpr std::size_t reserve_bytes = std::size_t{1} << 20;

  Arena();
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Returns `wanted` bytes, or, out of the reserve, at least `least`. The memory may not be zeroed;
  // it is aligned as operator new aligns. Throws std::bad_alloc when the reserve is used up, too.
  std::span<std::byte> take(std::size_t wanted, std::size_t least);

  // True while there is less than a whole reserve.
  bool is_short() const { return short_; }
  // Tries to get a whole reserve. Returns whether there is one now.
  bool renew() noexcept;

 private:
  struct Chunk {
    Chunk* next;
    std::size_t bytes;
  };
  static constexpr std::size_t header = 64;
  Chunk* chain(std::size_t bytes) noexcept;

  Chunk* chunks_ = nullptr;
  std::byte* reserve_ = nullptr;
  std::size_t left_ = 0;
  bool short_ = true;
};

}  // namespace ballast::co
