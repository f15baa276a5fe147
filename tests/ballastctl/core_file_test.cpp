// SPDX-License-Identifier: Apache-2.0
// The memory of a process out of core files that are made up here, whole ones and damaged ones.
#include "targetcli-config/ballastctl/core/core_file.h"
#include "tests/core_header.h"

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "tests/cmocka.h"

using namespace ballast;
using ctl::core::CoreFile;

namespace {

using Blob = std::vector<std::byte>;

constexpr std::uint64_t text_at = 0x10000;  // read-only, not in the core file
constexpr std::uint64_t data_at = 0x11000;  // written to
constexpr std::uint64_t heap_at = 0x20000;
const std::string path = "/usr/lib/plugin.so";

Blob bytes_of(const std::string& text) {
  Blob blob(text.size());
  std::memcpy(blob.data(), text.data(), text.size());
  return blob;
}

template <class T>
void append(Blob& to, const T& value) {
  const std::size_t at = to.size();
  to.resize(at + sizeof value);
  std::memcpy(to.data() + at, &value, sizeof value);
}

void append_note(Blob& to, std::uint32_t type, const Blob& description) {
  append(to, Elf64_Nhdr{4, static_cast<std::uint32_t>(description.size()), type});
  append(to, std::uint32_t{0x45524f43});  // "CORE"
  to.insert(to.end(), description.begin(), description.end());
  to.resize((to.size() + 3) / 4 * 4);
}

// The notes of a process that got signal 11 in thread 77, and had mapped `path` from text_at on.
Blob notes(std::uint64_t mappings = 1) {
  Blob status(112);
  status[12] = std::byte{11};
  status[32] = std::byte{77};
  Blob files;
  for (const std::uint64_t number :
       {mappings, std::uint64_t{4096}, text_at, data_at, std::uint64_t{0}}) {
    append(files, number);
  }
  const Blob name = bytes_of(path + '\0');
  files.insert(files.end(), name.begin(), name.end());
  Blob all;
  append_note(all, NT_PRSTATUS, status);
  append_note(all, NT_FILE, files);
  return all;
}

struct Part {
  std::uint32_t type;
  std::uint32_t flags;
  std::uint64_t address;
  std::uint64_t memory;
  Blob content;
};

Blob core_of(const std::vector<Part>& parts) {
  const Elf64_Ehdr header = test::core_header(parts.size());
  Blob core;
  append(core, header);
  std::uint64_t offset = sizeof header + parts.size() * sizeof(Elf64_Phdr);
  for (const Part& part : parts) {
    Elf64_Phdr program{};
    program.p_type = part.type;
    program.p_flags = part.flags;
    program.p_offset = offset;
    program.p_vaddr = part.address;
    program.p_filesz = part.content.size();
    program.p_memsz = part.memory;
    append(core, program);
    offset += part.content.size();
  }
  for (const Part& part : parts) {
    core.insert(core.end(), part.content.begin(), part.content.end());
  }
  return core;
}

Blob usual(const Blob& its_notes = notes()) {
  return core_of({{PT_NOTE, 0, 0, 0, its_notes},
                  {PT_LOAD, PF_R, text_at, 0x1000, {}},
                  {PT_LOAD, PF_R | PF_W, data_at, 0x1000, {}},
                  {PT_LOAD, PF_R | PF_W, heap_at, 16, bytes_of("0123456789abcdef")}});
}

std::string read(const CoreFile& core, std::uint64_t address, std::size_t length) {
  std::string text(length, '?');
  return core.read(address, std::as_writable_bytes(std::span{text})) ? text : "unreadable";
}

CoreFile parsed(const Blob& bytes) {
  Result<CoreFile> core = CoreFile::parse(bytes);
  assert_true(core.ok());
  return std::move(core).value();
}

void it_has_the_memory_of_the_process_and_nothing_else(void**) {
  const Blob bytes = usual();
  const CoreFile core = parsed(bytes);
  assert_string_equal(read(core, heap_at + 10, 6).c_str(), "abcdef");
  assert_string_equal(read(core, heap_at + 10, 7).c_str(), "unreadable");
  assert_string_equal(read(core, heap_at - 1, 1).c_str(), "unreadable");
  assert_string_equal(read(core, UINT64_MAX, 1).c_str(), "unreadable");
  assert_int_equal(core.signal(), 11);
  assert_int_equal(core.thread(), 77);
  assert_int_equal(core.missing(), 0);
}

void constants_come_from_the_plugins_file_and_what_was_written_does_not(void**) {
  const Blob bytes = usual();
  CoreFile core = parsed(bytes);
  assert_string_equal(read(core, text_at + 4, 5).c_str(), "unreadable");
  const Blob file = bytes_of("0123const" + std::string(0x2000, 'x'));
  assert_true(core.use_module(path, file) == CoreFile::Fits::unknown);
  assert_string_equal(read(core, text_at + 4, 5).c_str(), "const");
  assert_string_equal(read(core, data_at, 1).c_str(), "unreadable");
  assert_string_equal(core.module_at(text_at).c_str(), path.c_str());
  assert_string_equal(core.module_at(heap_at).c_str(), "");
}

void memory_that_was_cut_off_does_not_come_from_the_plugins_file(void**) {
  const Blob whole = core_of(
      {{PT_NOTE, 0, 0, 0, notes()}, {PT_LOAD, PF_R, text_at, 0x1000, bytes_of("relocated")}});
  const Blob cut{whole.begin(), whole.end() - 5};
  CoreFile core = parsed(cut);
  assert_int_equal(core.missing(), 5);
  const Blob file = bytes_of(std::string(0x1000, 'x'));
  (void)core.use_module(path, file);
  assert_string_equal(read(core, text_at, 4).c_str(), "relo");
  assert_string_equal(read(core, text_at, 5).c_str(), "unreadable");
  assert_string_equal(read(core, text_at + 9, 1).c_str(), "x");  // behind what it had at all
}

void notes_that_claim_too_much_are_left_out(void**) {
  for (const std::uint64_t count : {std::uint64_t{2}, std::uint64_t{1000}, UINT64_MAX}) {
    const Blob bytes = usual(notes(count));
    const CoreFile core = parsed(bytes);
    assert_string_equal(core.module_at(heap_at).c_str(), "");
    assert_string_equal(read(core, heap_at, 1).c_str(), "0");
  }
}

void a_pattern_is_found_where_it_is_aligned(void**) {
  const Blob bytes =
      core_of({{PT_LOAD, PF_R, heap_at, 32, bytes_of("magic+++-magic+++magic++magic+++")}});
  const CoreFile core = parsed(bytes);
  const std::vector<std::uint64_t> found = core.find("magic");
  assert_int_equal(found.size(), 2);
  assert_true(found == (std::vector<std::uint64_t>{heap_at, heap_at + 24}));
}

void other_files_are_refused_with_a_sentence(void**) {
  const struct {
    std::string bytes;
    const char* says;
  } cases[] = {{"", "no ELF"},
               {"hello, world", "no ELF"},
               {"\x28\xb5\x2f\xfd and more", "compressed"},
               {"\x04\x22\x4d\x18 and more", "compressed"}};
  for (const auto& one : cases) {
    const Blob bytes = bytes_of(one.bytes);
    const Result<CoreFile> core = CoreFile::parse(bytes);
    assert_false(core.ok());
    assert_non_null(std::strstr(core.error().message.c_str(), one.says));
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(it_has_the_memory_of_the_process_and_nothing_else),
      cmocka_unit_test(constants_come_from_the_plugins_file_and_what_was_written_does_not),
      cmocka_unit_test(memory_that_was_cut_off_does_not_come_from_the_plugins_file),
      cmocka_unit_test(notes_that_claim_too_much_are_left_out),
      cmocka_unit_test(a_pattern_is_found_where_it_is_aligned),
      cmocka_unit_test(other_files_are_refused_with_a_sentence),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
