// SPDX-License-Identifier: Apache-2.0
#include "lib/co/arena.h"

#include <algorithm>
#include <new>

#include "lib/base/assert.h"
#include "lib/base/round_up.h"
#include "lib/co/poison.h"

namespace ballast::co {
namespace {
constexpr std::size_t alignment = 64;
// The reserve is given out in pieces of this size, or of `least` if that is larger.
constexpr std::size_t small_piece = std::size_t{4} << 10;
}  // namespace

Arena::Arena() {
  (void)renew();
}

Arena::~Arena() {
  while (chunks_ != nullptr) {
    Chunk* const chunk = chunks_;
    chunks_ = chunk->next;
    ASAN_UNPOISON_MEMORY_REGION(chunk, chunk->bytes);
    ::operator delete (static_cast<void*>(chunk), std::align_val_t{alignment});
  }
}

Arena::Chunk* Arena::chain(std::size_t bytes) noexcept {
  void* const memory = ::operator new (header + bytes, std::align_val_t{alignment}, std::nothrow);
  if (memory == nullptr) {
    return nullptr;
  }
  chunks_ = ::new (memory) Chunk{chunks_, header + bytes};
  return chunks_;
}

bool Arena::renew() noexcept {
  if (short_) {
    Chunk* const chunk = chain(reserve_bytes);
    if (chunk != nullptr) {
      reserve_ = reinterpret_cast<std::byte*>(chunk) + header;
      left_ = reserve_bytes;
      short_ = false;
    }
  }
  return !short_;
}

std::span<std::byte> Arena::take(std::size_t wanted, std::size_t least) {
  BALLAST_ASSERT(least <= wanted);
  if (Chunk* const chunk = chain(wanted); chunk != nullptr) {
    return {reinterpret_cast<std::byte*>(chunk) + header, wanted};
  }
  short_ = true;
  const std::size_t size = round_up(std::min(wanted, std::max(least, small_piece)), alignment);
  if (size > left_) {
    throw std::bad_alloc{};
  }
  std::byte* const memory = reserve_;
  reserve_ += size;
  left_ -= size;
  return {memory, size};
}

}  // namespace ballast::co
