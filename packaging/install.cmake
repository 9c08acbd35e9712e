# What make install installs.  Part of CMakeLists.txt.
set(cmakedir "${CMAKE_INSTALL_LIBDIR}/cmake/chan")
file(GLOB manual CONFIGURE_DEPENDS man/*.3)

install(TARGETS ${libraries} EXPORT chan-targets)
install(FILES ${headers} DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/chan")
install(FILES ${manual} DESTINATION "${CMAKE_INSTALL_MANDIR}/man3")
install(FILES packaging/chan.supp packaging/helgrind.h DESTINATION "${CMAKE_INSTALL_DATADIR}/chan")

# Another name for a page, for each function that has no page of its own.
foreach(page ${manual})
  get_filename_component(name "${page}" NAME)
  file(STRINGS "${page}" functions REGEX "^\\.Nm [a-z]")
  list(TRANSFORM functions REPLACE "^\\.Nm ([a-z_]+).*" "\\1.3")
  list(REMOVE_DUPLICATES functions)
  foreach(function ${functions})
    if(NOT function STREQUAL name)
      file(WRITE "${PROJECT_BINARY_DIR}/man3/${function}" ".so man3/${name}\n")
      install(FILES "${PROJECT_BINARY_DIR}/man3/${function}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man3")
    endif()
  endforeach()
endforeach()

# With the prefix that counts in the end: cmake --install --prefix may give another.
set(VERSION ${PROJECT_VERSION})
set(MAJOR ${PROJECT_VERSION_MAJOR})
set(DEVELOP "${CMAKE_SHARED_LIBRARY_PREFIX}chan${CMAKE_SHARED_LIBRARY_SUFFIX}")
if(APPLE)
  set(SONAME libchan.${MAJOR}.dylib)
else()
  set(SONAME ${DEVELOP}.${MAJOR})
endif()
foreach(name VERSION MAJOR DEVELOP SONAME)
  install(CODE "set(${name} \"${${name}}\")")
endforeach()
install(CODE "
  set(PREFIX \"\${CMAKE_INSTALL_PREFIX}\")
  get_filename_component(libdir \"${CMAKE_INSTALL_LIBDIR}\" ABSOLUTE BASE_DIR \"\${PREFIX}\")
  get_filename_component(includedir \"${CMAKE_INSTALL_INCLUDEDIR}\" ABSOLUTE BASE_DIR \"\${PREFIX}\")
  foreach(file chan.pc chan-config.cmake chan-config-version.cmake)
    configure_file(\"${CMAKE_CURRENT_SOURCE_DIR}/packaging/\${file}.in\"
      \"${PROJECT_BINARY_DIR}/\${file}\" @ONLY)
  endforeach()")
install(FILES "${PROJECT_BINARY_DIR}/chan.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
install(FILES "${PROJECT_BINARY_DIR}/chan-config.cmake" "${PROJECT_BINARY_DIR}/chan-config-version.cmake"
  DESTINATION "${cmakedir}")

# A library that links chan and exports itself says find_dependency(chan), so this file is not installed: the one
# above gives chan::chan, however chan was installed.
install(EXPORT chan-targets NAMESPACE chan:: DESTINATION "${cmakedir}" EXCLUDE_FROM_ALL)
export(EXPORT chan-targets NAMESPACE chan:: FILE "${PROJECT_BINARY_DIR}/chan-targets.cmake")
