// SPDX-License-Identifier: Apache-2.0
// The header of a core file that a test makes, as the kernel writes it: the program headers follow.
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstring>

namespace ballast::test {

inline Elf64_Ehdr core_header(std::size_t segments) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_CORE;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = static_cast<Elf64_Half>(segments);
  return header;
}

}  // namespace ballast::test
