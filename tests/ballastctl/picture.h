// SPDX-License-Identifier: Apache-2.0
// A picture of this process' memory, as a core file has it, and what ballastctl core reads in it.
#pragma once

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/assert.h"
#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "targetcli-config/ballastctl/core/process.h"
#include "tests/core_header.h"

namespace ballast::test {

using ctl::core::CoreFile;
using ctl::core::DeadLun;
using ctl::core::Process;
using ctl::core::Reader;

inline std::vector<Elf64_Phdr> readable_memory() {
  constexpr std::uint64_t most = std::uint64_t{256} << 20;  // a sanitizer's is larger
  std::vector<Elf64_Phdr> all;
  std::ifstream maps{"/proc/self/maps"};
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0;
    unsigned long end = 0;
    char may_read = 0;
    const bool parsed = std::sscanf(line.c_str(), "%lx-%lx %c", &begin, &end, &may_read) == 3;
    if (parsed && may_read == 'r' && end - begin <= most && line.find("[v") == std::string::npos) {
      Elf64_Phdr segment{};
      segment.p_type = PT_LOAD;
      segment.p_flags = PF_R | PF_W;
      segment.p_vaddr = begin;
      segment.p_filesz = end - begin;
      segment.p_memsz = end - begin;
      all.push_back(segment);
    }
  }
  return all;
}

inline std::vector<std::byte> core_of_this_process() {
  std::vector<Elf64_Phdr> segments = readable_memory();
  const Elf64_Ehdr header = core_header(segments.size());
  std::uint64_t size = sizeof header + segments.size() * sizeof(Elf64_Phdr);
  for (Elf64_Phdr& segment : segments) {
    segment.p_offset = size;
    size += segment.p_filesz;
  }
  std::vector<std::byte> core(size);
  std::memcpy(core.data(), &header, sizeof header);
  std::memcpy(core.data() + sizeof header, segments.data(), segments.size() * sizeof(Elf64_Phdr));
  const UniqueFd memory{::open("/proc/self/mem", O_RDONLY | O_CLOEXEC)};
  for (const Elf64_Phdr& segment : segments) {
    // What is gone by now stays zero.
    (void)!::pread(memory.get(), core.data() + segment.p_offset, segment.p_filesz,
                   static_cast<off_t>(segment.p_vaddr));
  }
  return core;
}

// What ballastctl core finds in it.
class Picture {
 public:
  Picture() : bytes_{core_of_this_process()}, core_{CoreFile::parse(bytes_)} {
    BALLAST_ASSERT(core_.ok());
    reader_.emplace(core_.value());
    process_.emplace(Process::find(core_.value(), *reader_, ""));
    BALLAST_ASSERT(process_->ok());
  }
  const Process& process() const { return process_->value(); }
  // Of the only executor.
  const DeadLun& only() const {
    BALLAST_ASSERT(process().luns().size() == 1);
    return process().luns().front();
  }

 private:
  std::vector<std::byte> bytes_;
  Result<CoreFile> core_;
  std::optional<Reader> reader_;
  std::optional<Result<Process>> process_;
};

}  // namespace ballast::test
