// SPDX-License-Identifier: Apache-2.0
// How the objects of this room lie in memory (lib/base/anatomy.h), and where those of other rooms
// have its parts.
#pragma once

#include <cstddef>
#include <span>

#include "lib/base/anatomy.h"
#include "lib/io/buffer_pool.h"

namespace ballast::io {

BALLAST_BEGIN_ANATOMY
struct Anatomy {
  static const anatomy::Type uring;
  static const anatomy::Type operation;

  // The length of a Buffer: of libstdc++'s span, the second word.
  static constexpr std::size_t buffer_length = offsetof(Buffer, memory_) + sizeof(std::byte*);
};
BALLAST_END_ANATOMY

}  // namespace ballast::io
