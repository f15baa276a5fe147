// SPDX-License-Identifier: Apache-2.0
// ballastctl core, over bytes that need not be a core file. Whatever they are, it ends, with
// documents that can be shown or a sentence that says why not.
//
// Of the input, the first byte chooses. Either the rest is the core file. Or it is the memory of a
// process in a core file that is well formed, with the real tables of this build: then the walk
// gets deep. There, a word that begins with 0xfe points to another word of that memory, and one
// that begins with 0xfd to a table.
#include <elf.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "lib/base/anatomy.h"
#include "lib/co/anatomy.h"
#include "lib/io/anatomy.h"
#include "lib/lun/anatomy.h"
#include "lib/scsi/anatomy.h"
#include "lib/volume/anatomy.h"
#include "lib/watch/anatomy.h"
#include "lib/watch/report.h"
#include "targetcli-config/ballastctl/core/process.h"
#include "targetcli-config/ballastctl/core/views.h"

using namespace ballast;
using namespace ballast::ctl::core;

namespace {

constexpr std::uint64_t tables_at = 0x10000;
constexpr std::uint64_t memory_at = 0x100000;

const std::array tables{
    &co::Anatomy::executor,    &co::Anatomy::landmark,   &co::Anatomy::task,
    &co::Anatomy::coroutine,   &co::Anatomy::place,      &co::Anatomy::wait,
    &io::Anatomy::uring,       &io::Anatomy::operation,  &volume::Anatomy::hold,
    &volume::Anatomy::volume,  &watch::Anatomy::limits,  &watch::Anatomy::record,
    &watch::Anatomy::counters, &scsi::Anatomy::task_set, &scsi::Anatomy::slot,
    &lun::Anatomy::lun};

std::uint64_t place_of(const anatomy::Type* type) {
  const auto found = std::find(tables.begin(), tables.end(), type);
  return found == tables.end()
             ? 0
             : tables_at + sizeof(anatomy::Root) +
                   static_cast<std::size_t>(found - tables.begin()) * sizeof(anatomy::Type);
}

void put(std::vector<std::byte>& to, std::size_t at, std::uint64_t word) {
  std::memcpy(to.data() + at, &word, sizeof word);
}

// The tables of this build, as if they were at tables_at.
std::vector<std::byte> moved_tables() {
  std::vector<std::byte> all(sizeof(anatomy::Root) + tables.size() * sizeof(anatomy::Type));
  std::memcpy(all.data(), &co::Anatomy::root, sizeof(anatomy::Root));
  put(all, offsetof(anatomy::Root, self), tables_at);
  put(all, offsetof(anatomy::Root, executors), memory_at);
  put(all, offsetof(anatomy::Root, executor), place_of(&co::Anatomy::executor));
  put(all, offsetof(anatomy::Root, heartbeat), memory_at + 8);
  for (const anatomy::Type* type : tables) {
    const std::size_t at = place_of(type) - tables_at;
    std::memcpy(all.data() + at, type, sizeof *type);
    put(all, at, place_of(type));
    for (std::size_t i = 0; i < type->count; ++i) {
      put(all, at + offsetof(anatomy::Type, fields) + i * sizeof(anatomy::Field),
          place_of(type->fields[i].type));
    }
  }
  return all;
}

std::vector<std::byte> memory_of(std::span<const std::uint8_t> input) {
  std::vector<std::byte> memory(std::max<std::size_t>(16, input.size() / 8 * 8));
  std::memcpy(memory.data(), input.data(), input.size() / 8 * 8);
  for (std::size_t at = 0; at < memory.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, memory.data() + at, sizeof word);
    if ((word & 0xff) == 0xfe) {
      put(memory, at, memory_at + (word >> 8) % (memory.size() / 8) * 8);
    } else if ((word & 0xff) == 0xfd) {
      put(memory, at, place_of(tables[(word >> 8) % tables.size()]));
    }
  }
  return memory;
}

void add_segment(std::vector<std::byte>& core, std::size_t index, std::uint64_t address,
                 const std::vector<std::byte>& memory) {
  Elf64_Phdr program{};
  program.p_type = PT_LOAD;
  program.p_flags = PF_R | PF_W;
  program.p_offset = core.size();
  program.p_vaddr = address;
  program.p_filesz = memory.size();
  program.p_memsz = memory.size();
  std::memcpy(core.data() + sizeof(Elf64_Ehdr) + index * sizeof program, &program, sizeof program);
  core.insert(core.end(), memory.begin(), memory.end());
}

std::vector<std::byte> well_formed(std::span<const std::uint8_t> input) {
  static const std::vector<std::byte> its_tables = moved_tables();
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_CORE;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 2;
  std::vector<std::byte> core(sizeof header + 2 * sizeof(Elf64_Phdr));
  std::memcpy(core.data(), &header, sizeof header);
  add_segment(core, 0, tables_at, its_tables);
  add_segment(core, 1, memory_at, memory_of(input));
  return core;
}

void walk(std::span<const std::byte> bytes) {
  Result<CoreFile> core = CoreFile::parse(bytes);
  if (!core.ok()) {
    return;
  }
  Reader reader{core.value()};
  const Result<Process> process = Process::find(core.value(), reader, "/nonexistent");
  if (!process.ok()) {
    return;
  }
  const auto all = snapshots(process.value(), {.in_flight = true, .tasks = true});
  for (const auto write : {watch::report::list, watch::report::inflight, watch::report::tasks}) {
    const std::string text = write(all, {});
    if (!nlohmann::json::accept(text)) {
      std::abort();
    }
  }
  (void)locks(process.value()).dump(-1, ' ', false, Json::error_handler_t::replace);
  (void)operations(process.value()).dump(-1, ' ', false, Json::error_handler_t::replace);
  (void)process.value().end();
  if (reader.notes().size() > Reader::most_notes) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::span rest{input + 1, size - 1};
  if ((*input & 1) != 0) {
    walk(std::as_bytes(rest));
  } else {
    walk(well_formed(rest));
  }
  return 0;
}
