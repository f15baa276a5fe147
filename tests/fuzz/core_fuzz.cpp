// SPDX-License-Identifier: Apache-2.0
// ballastctl core, over bytes that need not be a core file. Whatever they are, it ends, with
// documents that can be shown or a sentence that says why not.
//
// Of the input, the first byte chooses. Either the rest is the core file. Or it is the memory of a
// process in a core file that is well formed, with the real tables of this build: then the walk
// gets deep. There, a word that begins with 0xfe points to another word of that memory, and one
// that begins with 0xfd to a table. Or, thirdly, that memory has an executor with a landmark of
// each kind, and the input only says what words are where these lead to.
#include <elf.h>

#include <algorithm>
#include <array>
#include <clocale>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/backend/anatomy.h"
#include "lib/base/anatomy.h"
#include "lib/co/anatomy.h"
#include "lib/io/anatomy.h"
#include "lib/lun/anatomy.h"
#include "lib/scsi/anatomy.h"
#include "lib/volume/anatomy.h"
#include "lib/watch/anatomy.h"
#include "lib/watch/report.h"
#include "lib/write_log/anatomy.h"
#include "targetcli-config/ballastctl/core/process.h"
#include "targetcli-config/ballastctl/core/views.h"
#include "tests/core_header.h"

using namespace ballast;
using namespace ballast::ctl::core;

namespace {

constexpr std::uint64_t tables_at = 0x10000;
constexpr std::uint64_t memory_at = 0x100000;

const std::array tables{&co::Anatomy::executor,
                        &co::Anatomy::landmark,
                        &co::Anatomy::task,
                        &co::Anatomy::coroutine,
                        &co::Anatomy::place,
                        &co::Anatomy::wait,
                        &co::Anatomy::mutex,
                        &co::Anatomy::locker,
                        &io::Anatomy::uring,
                        &io::Anatomy::operation,
                        &volume::Anatomy::hold,
                        &volume::Anatomy::volume,
                        &watch::Anatomy::limits,
                        &watch::Anatomy::record,
                        &watch::Anatomy::counters,
                        &scsi::Anatomy::task_set,
                        &scsi::Anatomy::slot,
                        &lun::Anatomy::lun,
                        &backend::Anatomy::shared_access,
                        &backend::Anatomy::session,
                        &backend::Anatomy::image,
                        &backend::Anatomy::nbd_links,
                        &write_log::Anatomy::logged_store,
                        &write_log::Anatomy::write_log,
                        &write_log::Anatomy::contents,
                        &write_log::Anatomy::ring,
                        &write_log::Anatomy::position,
                        &write_log::Anatomy::pacer,
                        &write_log::Anatomy::writer,
                        &write_log::Anatomy::slot,
                        &write_log::Anatomy::reaper};

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

// What a word of the input means.
std::uint64_t meaning(std::uint64_t word, std::size_t memory_bytes) {
  switch (word & 0xff) {
    case 0xfe:
      return memory_at + (word >> 8) % (memory_bytes / 8) * 8;
    case 0xfd:
      return place_of(tables[(word >> 8) % tables.size()]);
    default:
      return word;
  }
}

std::uint64_t word_of(std::span<const std::uint8_t> input, std::size_t at) {
  std::uint64_t word = 0;
  std::memcpy(&word, input.data() + at, sizeof word);
  return word;
}

std::vector<std::byte> memory_of(std::span<const std::uint8_t> input) {
  std::vector<std::byte> memory(std::max<std::size_t>(16, input.size() / 8 * 8));
  for (std::size_t at = 0; at + 8 <= input.size(); at += 8) {
    put(memory, at, meaning(word_of(input, at), memory.size()));
  }
  return memory;
}

// Larger than the largest object. The input has pairs: where a word lies, and the word.
std::vector<std::byte> sparse_memory_of(std::span<const std::uint8_t> input) {
  std::vector<std::byte> memory(std::size_t{128} << 10);
  for (std::size_t at = 0; at + 16 <= input.size(); at += 16) {
    put(memory, word_of(input, at) % (memory.size() / 8) * 8,
        meaning(word_of(input, at + 8), memory.size()));
  }
  return memory;
}

std::size_t offset_of(const anatomy::Type& type, std::string_view name) {
  for (std::size_t i = 0; i < type.count; ++i) {
    if (name == type.fields[i].name) {
      return type.fields[i].offset;
    }
  }
  std::abort();
}

// An executor at the beginning, its landmarks at the end, and what they name between.
void add_landmarks(std::vector<std::byte>& memory) {
  const std::array known{&lun::Anatomy::lun,
                         &io::Anatomy::uring,
                         &write_log::Anatomy::logged_store,
                         &backend::Anatomy::shared_access,
                         &backend::Anatomy::image,
                         &backend::Anatomy::nbd_links,
                         &co::Anatomy::mutex};
  constexpr std::size_t executor = 16;
  constexpr std::size_t apart = 64;
  std::size_t landmark = memory.size() - known.size() * apart;
  put(memory, 0, memory_at + executor);
  put(memory, executor + offset_of(co::Anatomy::executor, "landmarks"), memory_at + landmark);
  for (std::size_t i = 0; i < known.size(); ++i, landmark += apart) {
    const bool last = i + 1 == known.size();
    put(memory, landmark + offset_of(co::Anatomy::landmark, "type"), place_of(known[i]));
    put(memory, landmark + offset_of(co::Anatomy::landmark, "object"), memory_at + 8192 + i * 4096);
    put(memory, landmark + offset_of(co::Anatomy::landmark, "next"),
        last ? 0 : memory_at + landmark + apart);
  }
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

std::vector<std::byte> well_formed(std::span<const std::uint8_t> input, bool has_landmarks) {
  static const std::vector<std::byte> its_tables = moved_tables();
  const Elf64_Ehdr header = test::core_header(2);
  std::vector<std::byte> core(sizeof header + 2 * sizeof(Elf64_Phdr));
  std::memcpy(core.data(), &header, sizeof header);
  add_segment(core, 0, tables_at, its_tables);
  std::vector<std::byte> memory = has_landmarks ? sparse_memory_of(input) : memory_of(input);
  if (has_landmarks) {
    add_landmarks(memory);
  }
  add_segment(core, 1, memory_at, memory);
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
  for (const auto& [view, show] : {std::pair{&locks, &show_locks}, std::pair{&logs, &show_logs},
                                   std::pair{&operations, &show_operations}}) {
    const Json luns = view(process.value());
    (void)luns.dump(-1, ' ', false, Json::error_handler_t::replace);
    (void)show({luns.begin(), luns.end()}, {});
  }
  (void)process.value().end();
  if (reader.notes().size() > Reader::most_notes) {
    std::abort();
  }
}

}  // namespace

// As main() does: in the locale C, libsmartcols never ends with a text that is not ASCII.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  return std::setlocale(LC_CTYPE, "C.UTF-8") != nullptr ? 0 : 1;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::span rest{input + 1, size - 1};
  if ((*input & 1) != 0) {
    walk(std::as_bytes(rest));
  } else {
    walk(well_formed(rest, (*input & 2) != 0));
  }
  return 0;
}
