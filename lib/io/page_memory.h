// SPDX-License-Identifier: Apache-2.0
// Memory that begins at a page, as O_DIRECT wants it. It holds customers' data, so no core file has
// it.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <memory>

namespace ballast::io {

struct FreePageMemory {
  std::size_t bytes = 0;
  void operator()(std::byte* memory) const { ::munmap(memory, bytes); }
};
using PageMemory = std::unique_ptr<std::byte[], FreePageMemory>;

// Null if there is none. `bytes` is a multiple of 4096. What is in it is not determined.
inline PageMemory make_page_memory(std::size_t bytes) {
  void* const memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return {};
  }
  (void)::madvise(memory, bytes, MADV_DONTDUMP);
  return PageMemory{static_cast<std::byte*>(memory), FreePageMemory{bytes}};
}

}  // namespace ballast::io
