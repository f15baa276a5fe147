// SPDX-License-Identifier: Apache-2.0
// Memory that begins at a page, as O_DIRECT wants it.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>

namespace ballast::io {

struct FreePageMemory {
  void operator()(std::byte* memory) const { std::free(memory); }
};
using PageMemory = std::unique_ptr<std::byte[], FreePageMemory>;

// Null if there is none. `bytes` is a multiple of 4096. What is in it is not determined.
inline PageMemory make_page_memory(std::size_t bytes) {
  constexpr std::size_t page = 4096;
  return PageMemory{static_cast<std::byte*>(std::aligned_alloc(page, bytes))};
}

}  // namespace ballast::io
