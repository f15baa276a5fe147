// SPDX-License-Identifier: Apache-2.0
// The memory behind an executor: frames, wait records, names of tasks. It only grows, to the
// high-water mark, and is given back as a whole.
//
// A coroutine that cannot have its frame cannot say so: its caller may be in the middle of a
// command. So the arena keeps a RESERVE, taken when the LUN opens (and not touched, so that the
// pages are not there). Where there is no memory otherwise, the reserve is used, in small pieces,
// for what is under way already; is_short() says so, and whoever begins something new looks first
// and refuses it until renew() has got a whole reserve again. Frames go back to their pools and are
// used again, so what is under way needs no more than its own peak.
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

  // Zeroes or not, aligned as operator new aligns. `wanted` bytes, or, out of the reserve, at least
  // `least`. std::bad_alloc when the reserve is used up, too.
  std::span<std::byte> take(std::size_t wanted, std::size_t least);

  // There is less than a whole reserve.
  bool is_short() const { return short_; }
  // Tries to get one. True: there is one (again).
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
